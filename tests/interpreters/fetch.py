#!/usr/bin/python3
"""Gets the interpreters of other Debian suites, unpacked, for the tests: fetch.py [--suite NAME…] [--build NAME…] [--refresh]

Neither the host's packages nor its apt state are touched: each suite has an apt state of its own with an
empty dpkg status (else the host's packages would count as installed), apt checks signatures and hashes,
and the packages are only unpacked, never installed. The mirror is the one that the host's own apt sources
name. A tree is made beside its place and renamed when whole; a whole tree is left alone, so that a second
run needs neither time nor network. Sources: apt.conf(5), sources.list(5), APT_CONFIG in apt(8).
"""

import argparse
import concurrent.futures
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import build  # noqa: E402
import suites  # noqa: E402

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# Packages of the closure that no interpreter needs to run: maintainer scripts' tools, X11, tk, fonts.
LEFT_OUT = re.compile(
    r"perl|dpkg$|tar$|debconf|sysvinit|lsb-base|x11-|libx(11|au|cb|dmcp|ext|ft|render|ss)|libtcl|libtk"
    r"|fonts-|fontconfig|libfontconfig|libfreetype|libpng|libbrotli|libselinux|libpcre|libacl"
)
# Large, and nothing reads them.
NOT_UNPACKED = ("*.a", "./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/lintian")
MERGED_USR = ("bin", "sbin", "lib", "lib64")


class FetchError(Exception):
    """A suite can't be had; the text says why."""


# --- the host's mirror ------------------------------------------------------------------------------------


def parse_one_line(text):
    """Entries of a sources.list file: dicts with uri, suite, components, options."""
    entries = []
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<rest>[^#]+)", line)
        if not match:
            continue
        words = match["rest"].split()
        if len(words) < 2:
            continue
        entries.append(
            {"uri": words[0], "suite": words[1], "components": words[2:], "options": match["options"] or ""}
        )
    return entries


def parse_deb822(text):
    """Entries of a .sources file, one for each pair of URI and suite."""
    entries = []
    for stanza in re.split(r"\n[ \t]*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = {}
        for key, value in re.findall(r"(?m)^([A-Za-z-]+):(.*(?:\n[ \t].*)*)", stanza):
            fields[key.lower()] = value.split()
        if "deb" not in fields.get("types", []) or fields.get("enabled", ["yes"])[0].lower() in ("no", "false"):
            continue
        for uri in fields.get("uris", []):
            for suite in fields.get("suites", []):
                entries.append(
                    {
                        "uri": uri,
                        "suite": suite,
                        "components": fields.get("components", []),
                        "options": " ".join(fields.get("signed-by", [])),
                    }
                )
    return entries


def read_sources(etc_apt):
    """Every entry of the host's apt sources, in apt's order."""
    folder = pathlib.Path(etc_apt)
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    entries = []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if path.suffix == ".list":
            entries += parse_one_line(text)
        elif path.suffix == ".sources":
            entries += parse_deb822(text)
    return entries


def mirrors(entries, codename):
    """Where the host gets its own suite from: the addresses that should have the other suites as well."""
    rolling = {"stable", "oldstable", "oldoldstable", "testing", "unstable", "sid"}
    wanted = rolling | {codename} if codename else rolling
    found = []
    for entry in entries:
        if entry["suite"] in wanted and "main" in entry["components"]:
            uri = entry["uri"].rstrip("/")
            if uri not in found:
                found.append(uri)
    return found


def host_codename():
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
            if line.startswith("VERSION_CODENAME="):
                return line.partition("=")[2].strip('"')
    return ""


# --- apt --------------------------------------------------------------------------------------------------


def run(command, environment=None, cwd=None):
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise FetchError(f"{' '.join(command[:2])}: " + " | ".join(lines[-3:]))
    return done.stdout


def host_acquire_settings():
    """How the host reaches the network (proxies, time limits), without its hooks."""
    dump = run(["apt-config", "dump"])
    return [line for line in dump.splitlines() if re.match(r'Acquire::.* "[^"]+";$', line)]


def write_apt_state(folder, suite, mirror, architecture=None):
    """An apt state of its own in `folder`, of the host's or another architecture; returns apt's environment."""
    for name in ("lists/partial", "cache/archives/partial", "log"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").write_text("")
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
    lines = host_acquire_settings() + [
        # Parts and Main: the host's hooks after `update` are not for this state.
        'Dir::Etc::Parts "/dev/null";',
        'Dir::Etc::Main "/dev/null";',
        'Dir::Etc::SourceParts "/dev/null";',
        f'Dir::Etc::SourceList "{folder}/sources.list";',
        'Dir::Etc::Preferences "/dev/null";',
        'Dir::Etc::PreferencesParts "/dev/null";',
        f'Dir::State "{folder}";',
        f'Dir::State::Lists "{folder}/lists";',
        f'Dir::State::status "{folder}/status";',
        f'Dir::Cache "{folder}/cache";',
        f'Dir::Log "{folder}/log";',
        'Acquire::Languages "none";',
        'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";',
        'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";',
        'Acquire::Retries "3";',
        'APT::Install-Recommends "false";',
        'APT::Sandbox::User "";',
        'Debug::NoLocking "true";',
    ]
    if architecture:
        lines += [f'APT::Architecture "{architecture}";', f'APT::Architectures {{ "{architecture}"; }};']
    configuration = folder / "apt.conf"
    configuration.write_text("\n".join(lines) + "\n")
    return dict(os.environ, APT_CONFIG=str(configuration), LC_ALL="C")


def closure(environment, wanted):
    """(name, version) of all packages that `wanted` need, without those left out."""
    output = run(["apt-get", "-y", "--print-uris", "install", *wanted], environment)
    packages = []
    for line in output.splitlines():
        if not line.startswith("'"):
            continue
        name, version, _ = line.split()[1].split("_", 2)
        if not LEFT_OUT.match(name):
            packages.append((name, urllib.parse.unquote(version)))
    return packages


def available(environment, names):
    """Those of `names` that the suite has."""
    output = run(["apt-cache", "pkgnames", "python3."], environment)
    output += run(["apt-cache", "pkgnames", "libpython3."], environment)
    return [name for name in names if name in output.split()]


def unpack(archive, tree):
    command = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(tree)]
    command += [f"--exclude={pattern}" for pattern in NOT_UNPACKED]
    if archive.name.partition("_")[0].endswith("-dev"):
        command.append("./usr/include")
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as source:
        done = subprocess.run(command, stdin=source.stdout, stderr=subprocess.PIPE, text=True, check=False)
        source.stdout.close()
    if done.returncode != 0 or source.returncode != 0:
        raise FetchError(f"unpacking {archive.name}: {done.stderr.strip()}")


# --- a suite ----------------------------------------------------------------------------------------------


def prepare_apt(work, suite, found_mirrors, architecture=None):
    """Indexes of `suite` from the first mirror that has it."""
    reasons = []
    for mirror in found_mirrors:
        environment = write_apt_state(work / "apt", suite, mirror, architecture)
        try:
            run(["apt-get", "update", "--error-on=any"], environment)
            return environment
        except FetchError as error:
            reasons.append(str(error))
    raise FetchError("no mirror has it: " + "; ".join(reasons))


def make_tree(suite, work, found_mirrors):
    """A whole tree with its stamp, in `work`."""
    environment = prepare_apt(work, suite, found_mirrors)
    wanted, missing = [], []
    for minor in suites.SUITES[suite]:
        names = [f"python{minor}", f"libpython{minor}", f"python{minor}-dbg", f"libpython{minor}-dbg"]
        present = available(environment, names)
        wanted += present if names[0] in present else []
        missing += [name for name in names if name not in present]
    if not wanted:
        raise FetchError("it has none of " + ", ".join(missing))
    packages = closure(environment, wanted)
    downloads = work / "downloads"
    downloads.mkdir()
    chosen = [f"{name}={version}" for name, version in packages]
    # Headers, without what a compiler would need to link: layouts of builds that nobody packages.
    chosen += available(environment, [f"libpython{minor}-dev" for minor in suites.SUITES[suite]])
    run(["apt-get", "download", *chosen], environment, downloads)

    tree = work / "tree"
    tree.mkdir()
    for name in MERGED_USR:
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    for archive in sorted(downloads.glob("*.deb")):
        unpack(archive, tree)
    versions = {}
    for name, version in packages:
        match = re.fullmatch(r"python(3\.\d+)-minimal", name)
        if match:
            # Debian writes a pre-release as 3.15.0~rc1; Python itself says 3.15.0.
            versions[match[1]] = re.match(r"[0-9.]+", version)[0]
    stamp = {
        "format": suites.TREE_FORMAT,
        "suite": suite,
        "versions": versions,
        "missing": missing,
        "packages": [f"{name} {version}" for name, version in packages],
    }
    (tree / suites.STAMP).write_text(json.dumps(stamp, indent=1) + "\n")
    return tree


# --- what no package has ----------------------------------------------------------------------------------


def get_source(work, found_mirrors):
    """The unpacked source of the package that is built, and its version; apt checks it as it checks the others."""
    suite, minor = suites.BUILT_FROM
    reasons = []
    for mirror in found_mirrors:
        environment = write_apt_state(work / "apt", suite, mirror)
        sources = work / "apt" / "sources.list"
        sources.write_text(sources.read_text() + sources.read_text().replace("deb ", "deb-src ", 1))
        folder = work / "source"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            run(["apt-get", "update", "--error-on=any"], environment)
            run(["apt-get", "source", "--download-only", f"python{minor}"], environment, folder)
        except FetchError as error:
            reasons.append(str(error))
            continue
        description = next(folder.glob("*.dsc"))
        run(["dpkg-source", "--no-check", "-x", str(description), str(folder / "tree")], None, folder)
        return folder / "tree", build.version_of(description.name)
    raise FetchError("no mirror has its source: " + "; ".join(reasons))


def build_missing(wanted, refresh, tell):
    """Builds the rows of suites.BUILT that are wanted and not there. Returns how many failed."""
    rows = [row for row in wanted if refresh or suites.built_version(row) is None]
    for row in wanted:
        if row not in rows:
            tell(f"{row['folder']}: {suites.built_version(row)}")
    if not rows:
        return 0
    found_mirrors = mirrors(read_sources("/etc/apt"), host_codename())
    try:
        if not found_mirrors:
            raise FetchError("the host's apt sources name no Debian mirror")
        base = pathlib.Path(suites.base_dir())
        return build.make_all(rows, lambda work: get_source(work, found_mirrors), base, tell)
    except (FetchError, OSError) as error:
        for row in rows:
            tell(f"{row['folder']}: not built: {error}")
        return len(rows)


def replace(old, new):
    """Puts the tree `new` where `old` is; interpreters that run from the old one keep their open files."""
    aside = pathlib.Path(f"{old}.old")
    shutil.rmtree(aside, ignore_errors=True)
    if old.exists():
        os.rename(old, aside)
    os.rename(new, old)
    shutil.rmtree(aside, ignore_errors=True)


def fetch(suite, refresh):
    """Brings one suite. Returns the line that says what is there."""
    place = pathlib.Path(suites.tree_dir(suite))
    started = time.monotonic()
    if refresh or suites.read_stamp(place) is None:
        if not os.path.exists(KEYRING):
            raise FetchError(f"{KEYRING} is missing (package debian-archive-keyring)")
        found_mirrors = mirrors(read_sources("/etc/apt"), host_codename())
        if not found_mirrors:
            raise FetchError("the host's apt sources name no Debian mirror")
        with tempfile.TemporaryDirectory(prefix=f".{suite}-", dir=place.parent) as work:
            replace(place, make_tree(suite, pathlib.Path(work), found_mirrors))
    stamp = suites.read_stamp(place)
    names = ", ".join(f"{each['name']} ({each['version']})" for each in suites.interpreters_in(suite))
    missing = "; the suite has no " + ", ".join(stamp["missing"]) if stamp["missing"] else ""
    return f"{suite}: {names}{missing} [{time.monotonic() - started:.1f} s]"


@contextlib.contextmanager
def only_one(base):
    """Two runs at once would unpack into each other; the second one waits, and then finds the work done."""
    base.mkdir(parents=True, exist_ok=True)
    with open(base / "lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("fetch.py: another run is under way, waiting for it", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fetch_all(wanted, refresh, tell):
    """Brings the suites, one after the other. Returns how many failed."""
    failed = 0
    for suite in wanted:
        try:
            tell(fetch(suite, refresh))
        except FetchError as error:
            failed += 1
            tell(f"{suite}: can't be had: {error}")
        except FileNotFoundError as error:
            failed += 1
            tell(f"{suite}: can't be had: {error.filename} is missing here")
    return failed


def main():
    parser = argparse.ArgumentParser(description="Gets interpreters for the tests: Debian's suites', and builds.")
    parser.add_argument("--suite", nargs="+", choices=suites.SUITES, help="these suites, and no builds")
    parser.add_argument("--build", nargs="+", choices=[row["folder"] for row in suites.BUILT], help="these builds, no suites")
    parser.add_argument("--refresh", action="store_true", help="get again what is there already")
    options = parser.parse_args()
    everything = not options.suite and not options.build
    rows = [row for row in suites.BUILT if everything or row["folder"] in (options.build or [])]
    wanted = options.suite or (list(suites.SUITES) if everything else [])

    def tell(line):
        print(line, flush=True)

    with only_one(pathlib.Path(suites.base_dir())), concurrent.futures.ThreadPoolExecutor(2) as pool:
        # Suites wait for the network while builds compute.
        work = [pool.submit(build_missing, rows, options.refresh, tell), pool.submit(fetch_all, wanted, options.refresh, tell)]
        failed = sum(each.result() for each in work)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
