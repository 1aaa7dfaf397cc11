"""Goes on with the runs of `tensorboard_runs`, in files of their own."""

from tensorboard.summary import Writer

writer = Writer("log/valid/deep")
for step in range(5, 8):
    writer.add_scalar("loss", 1 / (step + 1), step, wall_time=1_700_000_000 + 10 * step)
writer.close()
