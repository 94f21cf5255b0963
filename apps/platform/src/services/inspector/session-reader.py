# Answers one question about the folder of a session, on a host that has job control and no file API
# (contract/runtime 20). The platform hands this text over as data, in an environment variable, and
# every input in others: nothing that a client says is ever part of a program. Reads, and nothing
# else. Python 3.6, its standard library, and Linux with /proc.
#
# Resolution is the runtime's: every name is opened below a descriptor that is held, links are
# followed here and not by the kernel, and what is judged is what was opened (ADR-0045).
import binascii
import collections
import errno
import heapq
import json
import os
import resource
import signal
import stat

# Put together here, so that a terminal that shows this text shows no marker.
BEGIN = b"<<<" + b"DIFY_FS_" + b"BEGIN>>>"
END = b"<<<" + b"DIFY_FS_" + b"END>>>"
# 1024 characters a line: a terminal wraps longer ones somewhere.
LINE_BYTES = 768
# What the platform needs besides a window, to begin and end it between two characters: so many bytes
# of the beginning of the file, and around it (packages/runtime-contract/src/preview-text.ts).
SIGNATURE = 2
AROUND = 4
MAX_LINKS = 40
# Names looked up: a path has at most 2048, and forty links as many each.
MAX_STEPS = 10000
# Nothing below so many folders has a path that the kernel would tell (PATH_MAX).
MAX_DEPTH = 2048
MAX_LOOKS = 3
# The platform has given up by then; nobody would end this process otherwise.
ALARM_SECONDS = 90
O_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Refusal(Exception):
    """What the caller is told, by its code."""


class Moved(Exception):
    """What was opened lies elsewhere by now: to be looked for again."""


def name_of(descriptor):
    return os.readlink(b"/proc/self/fd/%d" % descriptor)


def open_root():
    """The session's folder: no link, as it is the agent's; what is above it is the operator's."""
    above, name = os.path.split(os.path.expanduser(os.environb[b"DIFY_FS_ROOT"]))
    try:
        sessions = os.open(above, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return os.open(name, O_PATH | os.O_DIRECTORY, dir_fd=sessions)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise Refusal("workspace_not_found")
        raise


def parts_of(path):
    return collections.deque(each for each in path.split(b"/") if each not in (b"", b"."))


class Walk:
    """From the session's folder to what a path means, without ever leaving it."""

    def __init__(self, root, path):
        self.root_name = name_of(root)
        self.root_parts = list(parts_of(self.root_name))
        # Held folders, the session's own at the bottom.
        self.folders = [root]
        self.names = []
        # So many levels above the session's folder; the only way from there leads back down.
        self.above = 0
        self.links = 0
        self.steps = 0
        # Whether it went up since it looked at anything.
        self.has_turned = False
        self.todo = parts_of(path)

    def run(self):
        while self.todo:
            self.count(1)
            self.step(self.todo.popleft())
        if self.above > 0:
            raise Refusal("path_escape")
        self.count_way_down()
        found = self.folders[-1]
        expected = b"/".join([self.root_name.rstrip(b"/")] + self.names) or b"/"
        if name_of(found) != expected:
            raise Moved()
        return found

    def step(self, part):
        if part == b"..":
            self.go_up()
        elif self.above > 0:
            if part != self.root_parts[-self.above]:
                raise Refusal("path_escape")
            self.above -= 1
        else:
            self.go_down(part)

    def count(self, steps):
        self.steps += steps
        if self.steps > MAX_STEPS or len(self.names) > MAX_DEPTH:
            raise Refusal("not_found")

    def count_way_down(self):
        # Nothing is opened again here, but in the runtime, and both are to give up alike.
        if self.has_turned:
            self.count(len(self.names))
        self.has_turned = False

    def go_up(self):
        self.has_turned = True
        if self.names:
            os.close(self.folders.pop())
            self.names.pop()
        else:
            self.above = min(self.above + 1, len(self.root_parts))

    def go_down(self, part):
        self.count_way_down()
        if is_hidden(part):
            raise Refusal("not_found")
        opened = os.open(part, O_PATH, dir_fd=self.folders[-1])
        mode = os.fstat(opened).st_mode
        if stat.S_ISLNK(mode):
            target = os.readlink(b"", dir_fd=opened)
            os.close(opened)
            self.follow(target)
            return
        if not stat.S_ISDIR(mode) and self.todo:
            os.close(opened)
            raise Refusal("not_found")
        self.folders.append(opened)
        self.names.append(part)

    def follow(self, target):
        self.links += 1
        if self.links > MAX_LINKS:
            raise Refusal("not_found")
        if target.startswith(b"/"):
            while self.names:
                os.close(self.folders.pop())
                self.names.pop()
            self.has_turned = True
            self.above = len(self.root_parts)
        self.todo.extendleft(reversed(parts_of(target)))

    def close(self):
        for each in self.folders[1:]:
            os.close(each)


def resolve(root, path):
    """A descriptor that names what `path` means, not opened for reading, and its status."""
    for _ in range(MAX_LOOKS):
        walk = Walk(root, path)
        try:
            found = os.dup(walk.run())
            return found, os.fstat(found)
        except Moved:
            continue
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
                raise Refusal("not_found")
            raise
        finally:
            walk.close()
    raise Refusal("not_found")


# Characters that a file system may skip when it compares names (Default_Ignorable_Code_Point).
IGNORED = (
    "\u00ad\u034f\u061c\u115f-\u1160\u17b4-\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)


def is_hidden(name):
    """A part of an upload that is not finished, under any spelling (packages/path-safety)."""
    if name[:1] != b"." and name[:1] < b"\x80":
        return False
    # Hardly any name comes as far as this.
    import re
    import unicodedata

    folded = unicodedata.normalize("NFKC", name.decode("utf-8", "replace"))
    folded = re.sub("[" + IGNORED + "]", "", folded).lower()
    return re.match(r"\.up-[0-9a-f]{24}\.(part|list)\Z", folded) is not None


def number(variable):
    return int(os.environb[variable])


def list_folder(found, status):
    if not stat.S_ISDIR(status.st_mode):
        raise Refusal("not_a_directory")
    limit = number(b"DIFY_FS_LIST_LIMIT")
    after = binascii.a2b_base64(os.environb.get(b"ATRIUM_FS_AFTER", b""))
    folder = os.open(b"/proc/self/fd/%d" % found, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # By its path because Python 3.6 takes no descriptor here; and so names are bytes.
    with_names = os.scandir(b"/proc/self/fd/%d" % folder)
    names = heapq.nsmallest(
        limit + 1,
        (each.name for each in with_names if each.name > after and not is_hidden(each.name)),
    )
    is_truncated = len(names) > limit
    del names[limit:]
    listed = []
    entries = []
    for name in names:
        try:
            entry = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            # Gone since it was listed.
            continue
        listed.append(name)
        entries.append(
            [
                kind_of(entry.st_mode),
                entry.st_size,
                entry.st_mtime_ns // 1000000000,
                stat.S_IMODE(entry.st_mode),
            ]
        )
    # Where the next page begins is known even if all of this one has gone.
    last = binascii.b2a_base64(names[-1]).decode().strip() if is_truncated else ""
    answer = {"entries": entries, "truncated": is_truncated, "last": last}
    return answer, b"\0".join(listed)


def kind_of(mode):
    """The contract's three types (20.3)."""
    if stat.S_ISDIR(mode):
        return "dir"
    return "symlink" if stat.S_ISLNK(mode) else "file"


def read_file(found, status, operation):
    if stat.S_ISDIR(status.st_mode):
        raise Refusal("is_a_directory")
    # Judged before it is opened: opening a FIFO waits, and opening a device does something.
    if not stat.S_ISREG(status.st_mode):
        raise Refusal("not_a_regular_file")
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    file = os.open(b"/proc/self/fd/%d" % found, flags)
    for _ in range(MAX_LOOKS):
        answer, start, length = window_of(file, operation)
        payload = read_at(file, start, length)
        # Less than its size promised: it was cut meanwhile.
        if len(payload) == length:
            return answer, payload
    raise Refusal("stat_failed")


def window_of(file, operation):
    """What is told of the file, and where in it the bytes are that are asked for."""
    status = os.fstat(file)
    size = status.st_size
    limit = number(b"DIFY_FS_MAX")
    offset = number(b"ATRIUM_FS_OFFSET")
    if offset < 0:
        # The end of the file.
        offset = max(0, size - limit)
    answer = {"size": size, "offset": offset, "version": version_of(status)}
    start = min(offset, size)
    end = start + limit
    if operation == b"preview":
        # A byte order mark says how later windows are to be read.
        answer["signature"] = binascii.b2a_base64(read_at(file, 0, SIGNATURE)).decode().strip()
        start = max(0, start - AROUND)
        end += 2 * AROUND
    answer["position"] = start
    # Not beyond the size that is told: the file may be growing.
    return answer, start, min(end, size) - start


def read_at(file, offset, length):
    pieces = []
    while length > 0:
        piece = os.pread(file, length, offset)
        if not piece:
            break
        pieces.append(piece)
        offset += len(piece)
        length -= len(piece)
    return b"".join(pieces)


def version_of(status):
    facts = (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
    return "-".join("%x" % each for each in facts)


def answer_question():
    operation = os.environb[b"DIFY_FS_OP"]
    if operation not in (b"list", b"preview", b"download"):
        raise Refusal("bad_op")
    found, status = resolve(open_root(), os.environb[b"DIFY_FS_REL"])
    if operation == b"list":
        return list_folder(found, status)
    return read_file(found, status, operation)


def code_of(error):
    if isinstance(error, Refusal):
        return error.args[0]
    if isinstance(error, PermissionError):
        return "file_forbidden"
    return "stat_failed"


def say(answer, payload):
    """One line of JSON and the bytes as they are, so that no file is base64 twice."""
    blob = json.dumps(answer).encode("ascii") + b"\n" + payload
    with open(1, "wb", closefd=False) as terminal:
        terminal.write(b"\n" + BEGIN + b"\n")
        for start in range(0, len(blob), LINE_BYTES):
            terminal.write(binascii.b2a_base64(blob[start : start + LINE_BYTES]))
        terminal.write(END + b"\n")


def main():
    signal.alarm(ALARM_SECONDS)
    # A deep path holds a descriptor for each of its folders.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        answer, payload = answer_question()
    except Exception as error:
        # Never a traceback: it would show what was read.
        answer, payload = {"error": code_of(error)}, b""
    say(answer, payload)


main()
