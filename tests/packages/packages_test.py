#!/usr/bin/python3
"""Every package, used as its user would in a clean root: packages_test.py (as root; `make test-packages`)

It takes what lies in build/packages, and the builds that it came from.
"""

import gzip
import hashlib
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest

sys.dont_write_bytecode = True
import roots  # noqa: E402
from roots import fetch  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PACKAGES = ROOT / "build" / "packages"
MACHINE = platform.machine()
MOST = 12 << 20
# What each kind lays otherwise than a plain prefix: Debian compresses, has the licence's text already, and its zsh looks
# elsewhere.
DEBIAN = {"share/doc/pythreads/CHANGELOG.md": "share/doc/pythreads/NEWS.gz", "share/doc/pythreads/LICENSE": None,
          "share/zsh/site-functions/_pythreads": "share/zsh/vendor-completions/_pythreads"}
DEBIAN_AS_WELL = {"share/doc/pythreads/changelog.gz"}


def one(pattern):
    found = sorted(PACKAGES.glob(pattern))
    if len(found) != 1:
        raise AssertionError(f"one {pattern} is wanted in {PACKAGES}, there are {[path.name for path in found]}")
    return found[0]


def output(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, timeout=900, **more)
    if done.returncode != 0:
        raise AssertionError(f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def files(tree):
    return {str(path.relative_to(tree)) for path in pathlib.Path(tree).rglob("*") if not path.is_dir()}


def installed(build, folder):
    """What `cmake --install` lays: the one list that every package is held against."""
    output("cmake", "--install", ROOT / build, "--prefix", folder)
    return files(folder)


class Trees(unittest.TestCase):
    """One list of files, whatever the package."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def enterContext(self, context):  # unittest has it from 3.11 on
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def static(self):
        return installed("build/static", self.folder / "installed")

    def test_installation_is_whole(self):
        have = installed("build/release", self.folder / "installed")
        for name in ("bin/pythreads", "share/man/man1/pythreads.1", "share/man/man5/pythreads-json.5",
                     "share/pythreads/pythreads.schema.json", "share/doc/pythreads/copyright",
                     "share/doc/pythreads/LICENSE", "share/doc/pythreads/README.md",
                     "share/bash-completion/completions/pythreads", "share/zsh/site-functions/_pythreads",
                     "share/fish/vendor_completions.d/pythreads.fish"):
            self.assertIn(name, have)
        self.assertEqual([], [name for name in have if name.startswith(("include/", "lib/"))])
        output(self.folder / "installed/bin/pythreads", "--version")

    def test_deb(self):
        have = installed("build/release", self.folder / "installed")
        output("dpkg-deb", "-x", one("*.deb"), self.folder / "deb")
        expected = {DEBIAN.get(name, name + ".gz" if name.startswith("share/man/") else name) for name in have}
        self.assertEqual(expected - {None} | DEBIAN_AS_WELL, files(self.folder / "deb/usr"))

    def test_rpm(self):
        names = output("rpm", "-qpl", one(f"*.{MACHINE}.rpm")).split()
        with tempfile.TemporaryDirectory() as clean:
            output("rpm", "--root", clean, "--initdb")
            output("rpm", "--root", clean, "-i", one(f"*.{MACHINE}.rpm"))
            laid = {name for name in files(pathlib.Path(clean, "usr")) if not name.startswith("lib/sysimage")}
        self.assertEqual(self.static(), laid)
        self.assertTrue({f"/usr/{name}" for name in laid} <= set(names))
        folders = [name for name in names if name.removeprefix("/usr/") not in laid]
        self.assertEqual([], [name for name in folders if not name.endswith("pythreads") and "/pythreads/" not in name])

    def test_tar(self):
        with tarfile.open(one(f"pythreads-*-linux-{MACHINE}.tar.xz")) as tar:
            names = {member.name.split("/", 1)[1] for member in tar if not member.isdir()}
        self.assertEqual(self.static(), names)

    def test_wheel(self):
        output(sys.executable, "-m", "zipfile", "-e", one(f"*{MACHINE}.whl"), self.folder / "wheel")
        data = next((self.folder / "wheel").glob("*.data/data"))
        self.assertEqual(self.static(), files(data))

    def test_image(self):
        unpack_image(PACKAGES / "pythreads.oci", self.folder / "image")
        self.assertEqual(self.static(), files(self.folder / "image/usr"))


def blob(layout, descriptor):
    """The bytes of a blob, which are those that its descriptor promises."""
    data = (layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
    assert len(data) == descriptor["size"], descriptor
    assert "sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"], descriptor
    return data


def manifests(layout):
    """(descriptor, manifest) of each image in the layout."""
    waiting = json.loads((layout / "index.json").read_text())["manifests"]
    found = []
    while waiting:
        descriptor = waiting.pop()
        content = json.loads(blob(layout, descriptor))
        if "manifests" in content:
            waiting += content["manifests"]
        else:
            found.append((descriptor, content))
    return found


def unpack_image(layout, folder):
    """The layers of this machine's image, laid in `folder`; returns its configuration."""
    wanted = {"x86_64": "amd64", "aarch64": "arm64"}[MACHINE]
    for _, manifest in manifests(layout):
        configuration = json.loads(blob(layout, manifest["config"]))
        if configuration["architecture"] == wanted:
            folder.mkdir(exist_ok=True)
            for layer in manifest["layers"]:
                output("tar", "-xzf", layout / "blobs" / layer["digest"].replace(":", "/"), "-C", folder)
            return configuration
    raise AssertionError(f"no image for {wanted}")


class Deb(unittest.TestCase):
    def test_lintian_finds_no_error(self):
        said = output("lintian", "--allow-root", "--fail-on", "error", one("*.deb"))
        print(f"lintian: {len(re.findall('(?m)^E:', said))} errors, {len(re.findall('(?m)^W:', said))} warnings")

    def test_installs_in_a_clean_root_and_dumps(self):
        with roots.root(fetch.host_codename()) as place:
            package = one("*.deb")
            (place / package.name).write_bytes(package.read_bytes())
            roots.run(place, "apt-get", "update")
            roots.run(place, "apt-get", "install", "-y", "--no-install-recommends", f"/{package.name}")
            with roots.hung(*roots.command(place, "/usr/bin/python3")) as pid:
                roots.assert_dump_tells(place, "pythreads", pid)
            self.assertEqual("", roots.run(place, "dpkg", "--verify", "pythreads"))
            roots.run(place, "apt-get", "purge", "-y", "pythreads")
            left = [name for name in files(place / "usr") if "pythreads" in name]
            self.assertEqual([], left)


class Static(unittest.TestCase):
    def unpacked(self, folder):
        output("tar", "-xJf", one(f"pythreads-*-linux-{MACHINE}.tar.xz"), "-C", folder, "--strip-components=1")
        return pathlib.Path(folder)

    def test_dumps_in_a_root_without_anything(self):
        with tempfile.TemporaryDirectory() as folder, roots.root() as place:
            executable = self.unpacked(folder) / "bin/pythreads"
            self.assertLess(executable.stat().st_size, MOST)
            headers = output("readelf", "--program-headers", "--dynamic", executable)
            self.assertNotIn("INTERP", headers)
            self.assertNotIn("NEEDED", headers)
            (place / "pythreads").write_bytes(executable.read_bytes())
            (place / "pythreads").chmod(0o755)
            self.assertEqual({"pythreads"}, files(place))
            with roots.hung(sys.executable) as pid:
                roots.assert_dump_tells(place, "/pythreads", pid)
            print(f"static executable: {executable.stat().st_size / (1 << 20):.1f} MiB")

    def test_notices_lie_beside_it(self):
        with tempfile.TemporaryDirectory() as folder:
            documents = self.unpacked(folder) / "share/doc/pythreads"
            told = (documents / "RELINKING.md").read_text()
            for source in ("elfutils", "glibc", "gcc-", "xz-utils", "zlib", "bzip2", "libiberty", "cli11"):
                self.assertRegex(told, f"(?m)^    apt-get source {source}.*=")
            for name in re.findall("(?m)^    apt-get source .*# (.*)$", told):
                self.assertTrue((documents / "linked-in" / name).exists(), name)
            self.assertIn("GNU LESSER GENERAL PUBLIC LICENSE", (documents / "linked-in/LGPL-3").read_text())
            self.assertIn("Apache License", (documents / "LICENSE").read_text())

    def test_links_anew(self):
        with tempfile.TemporaryDirectory() as folder:
            output("tar", "-xJf", one(f"pythreads-*-linux-{MACHINE}-relink.tar.xz"), "-C", folder, "--strip-components=1")
            # A library that its user changed: one of its messages reads otherwise.
            mine = pathlib.Path(folder, "mine")
            mine.mkdir()
            library = pathlib.Path(output("gcc", "-print-file-name=libelf.a").strip()).read_bytes()
            self.assertIn(b"invalid section header", library)
            (mine / "libelf.a").write_bytes(library.replace(b"invalid section header", b"section header invalid"))
            output(pathlib.Path(folder, "relink"), mine)
            self.assertRegex(output(pathlib.Path(folder, "pythreads"), "--version"), "^pythreads ")
            self.assertIn(b"section header invalid", pathlib.Path(folder, "pythreads").read_bytes())

    def test_aarch64_runs(self):
        found = sorted(PACKAGES.glob("pythreads-*-linux-aarch64.tar.xz"))
        if not found:
            self.skipTest("not built: make static-aarch64")
        with tempfile.TemporaryDirectory() as folder:
            output("tar", "-xJf", found[0], "-C", folder, "--strip-components=1")
            executable = pathlib.Path(folder, "bin/pythreads")
            self.assertLess(executable.stat().st_size, MOST)
            self.assertRegex(output("qemu-aarch64-static", executable, "--version"), "^pythreads ")
            self.assertIn("dump", output("qemu-aarch64-static", executable, "--help"))


class Rpm(unittest.TestCase):
    def test_installs_in_a_clean_root_and_dumps(self):
        package = one(f"*.{MACHINE}.rpm")
        needs = [line for line in output("rpm", "-qp", "--requires", package).splitlines()
                 if not line.startswith("rpmlib(")]
        self.assertEqual([], needs)
        with roots.root() as place:
            output("rpm", "--root", place, "--initdb")
            output("rpm", "--root", place, "-i", package)
            self.assertEqual("", output("rpm", "--root", place, "-V", "pythreads"))
            with roots.hung(sys.executable) as pid:
                roots.assert_dump_tells(place, "/usr/bin/pythreads", pid)
            output("rpm", "--root", place, "-e", "pythreads")
            self.assertFalse((place / "usr/bin/pythreads").exists())


class Wheel(unittest.TestCase):
    def install_and_dump(self, suite):
        wheel = one(f"*{MACHINE}.whl")
        with roots.root(suite) as place:
            (place / wheel.name).write_bytes(wheel.read_bytes())
            roots.run(place, "python3", "-m", "venv", "/venv")
            roots.run(place, "/venv/bin/pip", "install", "--no-index", f"/{wheel.name}")
            with roots.hung(*roots.command(place, "/venv/bin/python")) as pid:
                roots.assert_dump_tells(place, "/venv/bin/pythreads", pid)
            version = roots.run(place, "/venv/bin/python", "-c", "import sys; print(*sys.version_info[:2], sep='.')")
            roots.run(place, "/venv/bin/pip", "uninstall", "--yes", "pythreads")
            self.assertEqual([], [name for name in files(place / "venv") if "pythreads" in name])
            return version.strip()

    def test_in_venvs_of_two_versions(self):
        versions = [self.install_and_dump(suite) for suite in ("bookworm", "trixie")]
        self.assertEqual(["3.11", "3.13"], versions)

    def test_tags(self):
        name = one(f"*{MACHINE}.whl").name
        self.assertRegex(name, rf"-py3-none-manylinux.*_{MACHINE}\.musllinux_1_1_{MACHINE}\.whl$|"
                               rf"-py3-none-.*musllinux_1_1_{MACHINE}.*manylinux.*_{MACHINE}.*\.whl$")


class Image(unittest.TestCase):
    layout = PACKAGES / "pythreads.oci"

    def test_every_blob_is_what_it_is_called(self):
        named = set()
        for descriptor, manifest in manifests(self.layout):
            configuration = json.loads(blob(self.layout, manifest["config"]))
            plain = [hashlib.sha256(gzip.decompress(blob(self.layout, layer))).hexdigest()
                     for layer in manifest["layers"]]
            self.assertEqual([f"sha256:{each}" for each in plain], configuration["rootfs"]["diff_ids"])
            self.assertEqual(descriptor["platform"]["architecture"], configuration["architecture"])
            named |= {descriptor["digest"], manifest["config"]["digest"], *(each["digest"] for each in manifest["layers"])}
        for descriptor in json.loads((self.layout / "index.json").read_text())["manifests"]:
            named.add(descriptor["digest"])
        self.assertEqual({name.replace("sha256:", "") for name in named}, files(self.layout / "blobs/sha256"))

    def test_another_program_reads_it(self):
        with tempfile.TemporaryDirectory() as folder:
            for source in (f"oci:{self.layout}", f"oci-archive:{self.layout}.tar"):
                output("skopeo", "--insecure-policy", "copy", source, f"dir:{folder}/{source.partition(':')[0]}")

    def test_entry_point_dumps(self):
        with roots.root() as place:
            configuration = unpack_image(self.layout, place)["config"]
            environment = dict(pair.split("=", 1) for pair in configuration["Env"])
            said = subprocess.run(roots.command(place, *configuration["Entrypoint"], "--version"), capture_output=True,
                                  text=True, check=True)
            self.assertRegex(said.stdout, r"^pythreads [0-9.]+\n$")
            self.assertTrue((place / environment["PATH"].lstrip("/") / "pythreads").exists())
            with roots.hung(sys.executable) as pid:
                roots.assert_dump_tells(place, configuration["Entrypoint"][0], pid)

    def test_is_the_same_again(self):
        with tempfile.TemporaryDirectory() as folder:
            builds = [build for build in ("build/static", "build/aarch64-static") if (ROOT / build / "pythreads").exists()]
            output(ROOT / "packaging/image", f"{folder}/again", *builds, cwd=ROOT)
            self.assertEqual((self.layout / "index.json").read_text(), pathlib.Path(folder, "again/index.json").read_text())


class Formula(unittest.TestCase):
    def test_names_what_lies_there(self):
        formula = (PACKAGES / "pythreads.rb").read_text()
        self.assertNotIn("@", formula)
        pairs = re.findall(r'url "\S+/([^/"]+)"\s+sha256 "([0-9a-f]{64})"', formula)
        self.assertEqual(formula.count("url "), len(pairs))
        for name, digest in pairs:
            self.assertEqual(hashlib.sha256((PACKAGES / name).read_bytes()).hexdigest(), digest, name)
        output("ruby", "-c", PACKAGES / "pythreads.rb")


if __name__ == "__main__":
    if os.getuid() != 0:
        sys.exit("packages_test.py: clean roots need root")
    unittest.main(verbosity=2)
