"""Work that nobody waits for: files that were left here, and batches of requests over them.

Everything is on disk, and a server that is started again goes on where it was. What a request of a batch
means is the protocol's to know: it gives a function (`Answering`) that answers one line.
"""

from sonorant.gateway.jobs.jobs import Jobs
from sonorant.gateway.jobs.records import Answer, Answering, Batch, Fault, Line, StoredFile
from sonorant.gateway.jobs.store import Store

__all__ = ["Answer", "Answering", "Batch", "Fault", "Jobs", "Line", "Store", "StoredFile"]
