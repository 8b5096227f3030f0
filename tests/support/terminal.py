"""A program at a terminal: what it is typed, and what it shows."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[=>]|\x1b[()][A-Z0-9]|[\x07\x0f]")


class Terminal:
    def __init__(self, command, environment=None, rows=50, columns=200, seconds=120):
        self.seconds = seconds
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                os.execvpe(command[0], command, {"TERM": "xterm", **os.environ, **(environment or {})})
            finally:
                os._exit(127)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.shown = ""  # not yet taken

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)

    def type(self, text):
        os.write(self.fd, text.encode())

    def until(self, pattern):
        """(what was shown before the match, the match); all of it is taken."""
        deadline = time.monotonic() + self.seconds
        while True:
            found = re.search(pattern, self.shown)
            if found:
                before, self.shown = self.shown[: found.start()], self.shown[found.end() :]
                return before, found
            if not select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"{pattern!r} was not shown: {self.shown[-2000:]!r}")
            try:
                read = os.read(self.fd, 65536)
            except OSError:  # EIO: it has ended
                read = b""
            if not read:
                raise EOFError(f"{pattern!r} was not shown before the end: {self.shown[-2000:]!r}")
            self.shown += read.decode(errors="replace")

    def everything(self):
        """All that it shows until it ends, escapes included."""
        try:
            self.until(r"(?!)")
        except EOFError:
            pass
        shown, self.shown = self.shown, ""
        return shown


def plain(shown):
    """Without what moves and colours."""
    return ESCAPES.sub("", shown).replace("\r\n", "\n").replace("\r", "\n")
