"""The Functions host of one machine.

It drives `azure-functions-runtime`, Microsoft's own worker library, so that the app is indexed, bound and invoked by
the code that runs it on Azure; routes, keys, the Event Grid webhook, timers and the queue, which are the host's part,
are here.
"""
