"""Runs a command at a terminal of its own: COLUMNS STEPS COMMAND...

STEPS is a JSON list of [PATTERN, KEYS]: once PATTERN is shown, behind what the step before found,
KEYS are typed. Prints as JSON what was shown, the exit code (of a signal, its number negative), and
how many steps were not come to.
"""

import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios

columns, steps, command = int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]
child, terminal = pty.fork()
if child == 0:
    try:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
        os.execv(command[0], command)
    finally:
        os._exit(127)

shown, seen = b'', 0
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:  # Linux's way to say that nobody has the other end any more.
        break
    if not piece:
        break
    shown += piece
    while steps and (found := re.compile(steps[0][0].encode()).search(shown, seen)):
        seen = found.end()
        os.write(terminal, steps.pop(0)[1].encode())
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps({'text': shown.decode(errors='replace'), 'code': code, 'steps_left': len(steps)}))
