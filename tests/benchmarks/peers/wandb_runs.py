"""W&B in offline mode; without git, console capture and system samples."""

import struct

from driving import Driver, main

BLOCK = 32_768
HEADER = 7


class WandbRuns(Driver):
    """One offline run at a time, each a folder with a log of records; it has no local queries."""

    durable = False

    def load(self):
        import wandb

        self._wandb = wandb

    def open(self, run, params):
        settings = self._wandb.Settings(
            mode="offline", console="off", disable_git=True, silent=True, x_disable_stats=True
        )
        self._run = self._wandb.init(
            project="bench", name=run, config=params, dir=str(self.folder), settings=settings
        )

    def log(self, step, row):
        self._run.log(row, step=step)

    def close(self):
        self._run.finish()

    def kept(self):
        from wandb.proto.wandb_internal_pb2 import Record

        runs = {}
        for path in sorted(self.folder.glob("wandb/offline-run-*/*.wandb")):
            steps = runs.setdefault(path.stem, [])
            for data in _records(path.read_bytes()):
                record = Record.FromString(data)
                names = [item.key or "/".join(item.nested_key) for item in record.history.item]
                if "m0" in names:
                    steps.append(record.history.step.num)
        return runs


def _records(data):
    """Yield the records of a log in LevelDB's format, up to where it breaks off."""
    position, parts = HEADER, []
    while position + HEADER <= len(data):
        left = BLOCK - position % BLOCK
        _, size, kind = struct.unpack_from("<IHB", data, position)
        if left < HEADER or kind == 0:
            position += left
            continue
        start = position + HEADER
        if start + size > len(data):
            return
        parts.append(data[start : start + size])
        position = start + size
        if kind in (1, 4):
            yield b"".join(parts)
            parts = []


if __name__ == "__main__":
    main(WandbRuns)
