"""What the command line's exit codes mean, in one place.

Those of `keyturn run` are the ones of docker, env, nohup and timeout (POSIX.1-2024, "env", EXIT STATUS: 126 and 127),
so that they rarely meet those of the program itself.
"""

from __future__ import annotations

OK = 0
USAGE = 2  # the command line is wrong: nothing was read, nothing was started
NOT_STARTED = 125  # a value could not be had or handed over: the program was not started
NOT_EXECUTABLE = 126  # the program is there and can't be executed
NOT_FOUND = 127  # there is no such program
SIGNAL = 128  # and the signal's number: the program ended by that signal
