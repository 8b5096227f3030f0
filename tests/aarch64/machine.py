"""A machine of another architecture: qemu-system with a Debian kernel, booted from an unpacked tree, for one command.

qemu-user has no ptrace; a kernel has. The tree becomes an ext4 image (mke2fs -d, so nobody needs to mount), an
initramfs of busybox and one module finds it, the console is our pipe. The command's output is all that is printed,
its exit status is this one's. There is no network.
"""

import lzma
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile

# A processor without pointer authentication, and one with it (in the way that emulates fast).
PROCESSORS = {"plain": "cortex-a72", "signing": "max,pauth-impdef=on,sve=off"}
BEGIN, END = "--- begin ---", "--- exit: "

FIND_ROOT = """#!/bin/busybox sh
/bin/busybox insmod /virtio_blk.ko
/bin/busybox mount -t devtmpfs dev /dev
until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 -o rw,noatime /dev/vda /root
exec /bin/busybox switch_root /root /init
"""

RUN = """#!/bin/busybox sh
b=/usr/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts devpts /dev/pts
$b mount -t tmpfs shm /dev/shm
$b chmod 1777 /tmp
$b ip link set lo up
export PATH=/usr/bin:/usr/sbin:/bin:/sbin HOME=/root LC_ALL=C.UTF-8
$b echo "{begin}"
$b sh /command </dev/null 2>&1
$b echo "{end}$? ---"
$b sync
$b poweroff -f
"""


def cpio(entries):
    """A cpio archive ("newc") of [(name, mode, bytes)], as the kernel unpacks it."""
    parts = []
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        encoded = name.encode() + b"\0"
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0]
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        parts += [head, b"\0" * (-len(head) % 4), content, b"\0" * (-len(content) % 4)]
    return b"".join(parts)


def initramfs(busybox, kernel_tree):
    module = next(pathlib.Path(kernel_tree).rglob("virtio_blk.ko*"))
    content = module.read_bytes()
    if module.suffix == ".xz":
        content = lzma.decompress(content)
    folder, program = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755
    return cpio([
        ("bin", folder, b""), ("dev", folder, b""), ("root", folder, b""),
        ("bin/busybox", program, pathlib.Path(busybox).read_bytes()),
        ("virtio_blk.ko", program, content), ("init", program, FIND_ROOT.encode()),
    ])


def make_image(tree, command, image):
    for name in ("proc", "sys", "dev", "tmp", "root", "run", "etc", "var"):
        (tree / name).mkdir(exist_ok=True)
    (tree / "command").write_text(command, encoding="utf-8")
    (tree / "init").write_text(RUN.replace("{begin}", BEGIN).replace("{end}", END), encoding="utf-8")
    (tree / "init").chmod(0o755)
    size = int(subprocess.run(["du", "-sk", "--apparent-size", str(tree)], capture_output=True, text=True,
                              check=True).stdout.split()[0])
    image.touch()
    command = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(tree), str(image), f"{size * 3 // 2 + 65536}k"]
    subprocess.run(command, check=True, env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"))


def boot(tree, kernel_tree, command, processor="plain", limit=1800, output=sys.stdout):
    """Runs `command` (a shell script) in a machine whose root is a copy of `tree`; returns its exit status."""
    tree = pathlib.Path(tree)
    kernel = next(pathlib.Path(kernel_tree, "boot").glob("vmlinuz-*"))
    with tempfile.TemporaryDirectory(prefix="machine-") as work:
        image, initrd = pathlib.Path(work, "root.ext4"), pathlib.Path(work, "initrd")
        make_image(tree, command, image)
        initrd.write_bytes(initramfs(tree / "usr/bin/busybox", kernel_tree))
        qemu = [
            "qemu-system-aarch64", "-M", "virt", "-cpu", PROCESSORS[processor], "-smp", "2", "-m", "2048",
            "-nodefaults", "-nographic", "-serial", "stdio", "-no-reboot", "-kernel", str(kernel),
            "-initrd", str(initrd), "-drive", f"file={image},format=raw,if=virtio,cache=unsafe",
            "-append", "console=ttyAMA0 quiet panic=-1",
        ]
        return follow(qemu, limit, output)


def follow(qemu, limit, output):
    status, begun, before = 70, False, []
    with subprocess.Popen(["timeout", str(limit), *qemu], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace") as machine:
        for line in machine.stdout:
            line = line.rstrip("\r\n")
            if line.endswith(BEGIN):
                begun = True
            elif match := re.search(re.escape(END) + r"(\d+) ---", line):
                status, begun = int(match[1]), False
            elif begun:
                print(line, file=output, flush=True)
            else:
                before.append(line)
    if status == 70:
        print("\n".join(before[-20:]), file=output)
        print(f"machine.py: it did not come to its end (qemu: {machine.returncode})", file=output)
    return status
