"""``python -m medgan`` is the command line."""

import sys

from medgan.workflow.handover import handed_over

if __name__ == "__main__":
    status = handed_over(sys.argv[1:])
    if status is not None:
        sys.exit(status)
    from medgan.cli import main

    main()
