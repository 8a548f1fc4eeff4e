"""Where the time and the memory of a model go: by stage, network and operator, against this machine's limits.

timeline     what ran on the device, and when
host         a replica's host whose engines tell of their operators
ort_trace    ONNX Runtime's profile as runs and operators
torch_trace  torch's profiler around each run
work         FLOPs and bytes of an operator, from its shapes
torch_work   the same of torch's
graph        nodes and weights of the file that an engine was made of
limits       what this machine's cores and memory can do at most
energy       joules, where the machine counts them
tally        all of it as one report
advice       what to do next, in words
chrome       the same as a trace that Perfetto and chrome://tracing open
session      loading a model, and the requests that are watched
"""
