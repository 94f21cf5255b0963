# Runs scripts in `sh`, each in a pseudo-terminal of its own. Commands come as lines of JSON on
# standard input, what happens goes out likewise; everything ends with standard input.
import base64
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios

terminals = {}


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def run(command):
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            # The size is there before the script can ask for it.
            size = struct.pack("HHHH", command["rows"], command["cols"], 0, 0)
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.chdir(command["cwd"])
            program = ["sh", "-c", command["script"]]
            if os.getuid() == 0:
                # Root may read everything otherwise, and nothing would be forbidden.
                program = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] + program
            os.execvpe(program[0], program, command["env"])
        finally:
            os._exit(126)
    terminals[terminal] = (command["id"], pid)
    say(id=command["id"], pid=pid)


def kill(job):
    for known, pid in terminals.values():
        if known == job:
            # The session of the terminal, which is the job and all that it started.
            os.killpg(pid, signal.SIGKILL)


def read(terminal):
    job, pid = terminals[terminal]
    try:
        output = os.read(terminal, 65536)
    except OSError:
        # Linux says EIO when nobody holds the other side any more.
        output = b""
    if output:
        say(id=job, output=base64.b64encode(output).decode())
        return
    os.close(terminal)
    del terminals[terminal]
    _, status = os.waitpid(pid, 0)
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
    say(id=job, exit=code)


def main():
    pending = b""
    while True:
        ready, _, _ = select.select([0] + list(terminals), [], [])
        for each in ready:
            if each in terminals:
                read(each)
        if 0 not in ready:
            continue
        piece = os.read(0, 65536)
        if not piece:
            break
        *lines, pending = (pending + piece).split(b"\n")
        for line in lines:
            command = json.loads(line)
            if "kill" in command:
                kill(command["kill"])
            else:
                run(command)
    for job, _ in list(terminals.values()):
        kill(job)


main()
