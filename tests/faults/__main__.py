"""`python -m tests.faults`: lets the service work while everything around it fails, and proves that nothing got lost.

The history is kept, and can be checked again: `python -m tests.faults --check DIRECTORY`. Exit status 1: a rule is
violated.
"""

import sys

from tests.faults.command import command
from tests.faults.one_database import ONE_DATABASE

if __name__ == "__main__":
    sys.exit(command(ONE_DATABASE, "python -m tests.faults", __doc__))
