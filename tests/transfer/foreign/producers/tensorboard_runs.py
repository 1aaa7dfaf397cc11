"""Writes event files with TensorBoard's own writers."""

from tensorboard.compat.proto import summary_pb2
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.histogram.metadata import create_summary_metadata as of_histogram
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2, summary_v2
from tensorboard.plugins.hparams.metadata import SESSION_END_INFO_TAG
from tensorboard.plugins.hparams.metadata import create_summary_metadata as of_params
from tensorboard.plugins.text.metadata import create_summary_metadata as of_text
from tensorboard.summary import Writer
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

START = 1_700_000_000.0
Value = summary_pb2.Summary.Value


def event(at, step, *values):
    return Event(wall_time=START + at, step=step, summary=summary_pb2.Summary(value=values))


def scalars():
    writer = Writer("log/valid/deep")
    for step in range(5):
        writer.add_scalar("loss", 1 / (step + 1), step, wall_time=START + 10 * step)
        writer.add_scalar("acc/top1", step / 5, step, wall_time=START + 10 * step + 0.25)
    writer.close()


def session():
    writer = EventFileWriter("log/train")
    params = summary_v2.hparams_pb(
        {"lr": 0.5, "opt": "adam", "layers": 3, "deep": True}, start_time_secs=START - 1
    )
    writer.add_event(Event(wall_time=START, summary=params))
    writer.add_event(event(1, 0, Value(tag="loss", simple_value=0.5)))
    note = Value(tag="note", metadata=of_text("", ""), tensor=make_tensor_proto(["a note"]))
    writer.add_event(event(2, 1, note))
    three = make_tensor_proto([[0.0, 1.0, 2.0]])
    writer.add_event(
        event(3, 2, Value(tag="weights", metadata=of_histogram("", ""), tensor=three))
    )
    end = plugin_data_pb2.SessionEndInfo(status=api_pb2.STATUS_FAILURE, end_time_secs=START + 60)
    metadata = of_params(plugin_data_pb2.HParamsPluginData(session_end_info=end))
    nothing = make_tensor_proto(0.0)
    writer.add_event(
        event(60, 0, Value(tag=SESSION_END_INFO_TAG, metadata=metadata, tensor=nothing))
    )
    writer.close()


scalars()
session()
