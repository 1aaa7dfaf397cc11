"""What adding a file cannot do without: `cp -r` or `sha256sum`, as the variant says."""

import subprocess

from driving import Driver, main


class RawCopy(Driver):
    """One program of the operating system for each file or folder."""

    def open(self, run, params):
        self._copies = 0

    def add(self, path, name):
        if self.variant == "cp":
            self._copies += 1
            command = ["cp", "-r", path, self.folder / f"copy{self._copies}"]
        else:
            command = ["find", path, "-type", "f", "-exec", "sha256sum", "{}", "+"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def close(self):
        pass


if __name__ == "__main__":
    main(RawCopy)
