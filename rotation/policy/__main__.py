"""`python -m rotation.policy check FILE`."""

import sys

from rotation.policy.check import main

sys.exit(main(sys.argv[1:]))
