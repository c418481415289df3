"""Event records as TensorBoard's own writer frames them.

Needs: pip install tensorboard. Writes tests/golden/tensorboard/events.bin.
"""
import io
import pathlib

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


class Sink(io.BytesIO):
    def close(self):
        pass


sink = Sink()
writer = RecordWriter(sink)
version = Event(wall_time=1.5, file_version="brain.Event:2")
value = Summary(value=[Summary.Value(tag="loss", simple_value=0.25)])
scalar = Event(wall_time=2.5, step=300, summary=value)
for event in (version, scalar):
    writer.write(event.SerializeToString())
out = pathlib.Path(__file__).parent / "tensorboard"
out.mkdir(exist_ok=True)
(out / "events.bin").write_bytes(sink.getvalue())
