#!/usr/bin/env python3
"""Makes container images without a container engine.

  mkimage.py pause BINARY                   the pod sandbox's image, to standard output
  mkimage.py layer VERSION OUT              Flink VERSION, from its PyPI packages, as a layer
  mkimage.py plugins VERSION OUT JAR...     jars for /opt/flink/opt of Flink VERSION, as a layer
  mkimage.py flink VERSION LAYER...         the image of these layers, to standard output

An image is written as a docker-archive, the format that "docker save" writes and "ctr images import" reads.
"""
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))

# Flink reflects into the JDK. Since 1.18 its own default configuration says this in env.java.opts.all, and so must a
# configuration that takes its place; before, there is no such option, for Java 17 was not supported: the image says it.
JAVA_OPTS = " ".join(
    [f"--add-exports={p}=ALL-UNNAMED" for p in (
        "java.rmi/sun.rmi.registry", "java.security.jgss/sun.security.krb5",
        "jdk.compiler/com.sun.tools.javac.api", "jdk.compiler/com.sun.tools.javac.file",
        "jdk.compiler/com.sun.tools.javac.parser", "jdk.compiler/com.sun.tools.javac.tree",
        "jdk.compiler/com.sun.tools.javac.util", "java.base/sun.net.util")]
    + [f"--add-opens=java.base/{p}=ALL-UNNAMED" for p in (
        "java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.lang.reflect", "java.text", "java.time",
        "java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks")])


def add(tar, name, data, mode=0o644, uid=0):
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.uid, info.gid = len(data), mode, uid, uid
    tar.addfile(info, io.BytesIO(data))


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_image(tags, layers, config):
    diffs = [sha256(layer) for layer in layers]
    manifest = json.dumps({
        "architecture": "amd64", "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + d for d in diffs]}}).encode()
    name = hashlib.sha256(manifest).hexdigest() + ".json"
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
        add(tar, name, manifest)
        add(tar, "manifest.json", json.dumps(
            [{"Config": name, "RepoTags": tags, "Layers": [d + ".tar" for d in diffs]}]).encode())
        for layer, d in zip(layers, diffs):
            tar.add(layer, arcname=d + ".tar")


def pip_download(name, version, folder):
    """apache-flink-libraries (the jars) is a source package; apache-flink (the scripts) has wheels, and the wheel
    of any Python will do."""
    base = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "-d", folder]
    wheel = ["--only-binary=:all:", "--implementation=cp"] + [
        "--platform=" + p for p in ("manylinux1_x86_64", "manylinux_2_5_x86_64", "manylinux2014_x86_64",
                                    "manylinux_2_17_x86_64")]
    if name == "apache-flink":
        tries = [wheel + ["--python-version=" + v, "--abi=cp" + v.replace(".", "") + m]
                 for v, m in (("3.11", ""), ("3.9", ""), ("3.8", ""), ("3.7", "m"))]
    else:
        tries = [["--no-binary=:all:"]]
    for i, options in enumerate(tries):
        last = i == len(tries) - 1
        done = subprocess.run(base + options + [f"{name}=={version}"], stderr=None if last else subprocess.DEVNULL)
        if done.returncode == 0:
            return next(os.path.join(folder, f) for f in os.listdir(folder))
    sys.exit(f"mkimage: cannot download {name} {version}")


def container_conf(text):
    """As in the official image: listen on every address, not on localhost."""
    text = re.sub(r"(?m)^(\s*(?:\S*\.)?bind-(?:host|address): )localhost", r"\g<1>0.0.0.0", text)
    text = re.sub(r"(?m)^(rest\.address: |rest:\n(?:[ #].*\n|\n)*?  address: )localhost", r"\g<1>0.0.0.0", text)
    return re.sub(r"(?m)^(taskmanager\.host:| +host:) localhost\n", "", text)


def make_layer(version, out):
    done = set()
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(out))) as tmp:
        with tarfile.open(out + ".part", "w") as tar:
            def put(path, data):
                if path in done:
                    return
                done.add(path)
                if re.match(r"conf/(flink-conf|config)\.yaml$", path):
                    data = container_conf(data.decode()).encode()
                runs = path.startswith("bin/") and not path.endswith(".jar")
                add(tar, "opt/flink/" + path, data, 0o755 if runs else 0o644, 9999)

            folders = ["opt", "opt/flink"] + ["opt/flink/" + d for d in (
                "bin", "conf", "lib", "log", "opt", "plugins", "usrlib")]
            for folder in folders:
                info = tarfile.TarInfo(folder)
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                info.uid = info.gid = 0 if folder == "opt" else 9999
                tar.addfile(info)
            with open(os.path.join(HERE, "entrypoint.sh"), "rb") as f:
                add(tar, "docker-entrypoint.sh", f.read(), 0o755)
            os.mkdir(tmp + "/w")
            with zipfile.ZipFile(pip_download("apache-flink", version, tmp + "/w")) as wheel:
                for name in sorted(wheel.namelist()):
                    if (m := re.match(r"pyflink/((?:bin|conf)/[^/]+)$", name)):
                        put(m[1], wheel.read(name))
            os.mkdir(tmp + "/s")
            with tarfile.open(pip_download("apache-flink-libraries", version, tmp + "/s")) as source:
                for member in source:
                    m = re.match(r"[^/]+/deps/((?:bin|lib|opt|plugins)/.+)$", member.name)
                    if m and member.isfile():
                        put(m[1], source.extractfile(member).read())
    if not any(p.startswith("lib/flink-dist") for p in done) or "bin/jobmanager.sh" not in done:
        sys.exit(f"mkimage: the packages of Flink {version} are not laid out as expected")
    os.rename(out + ".part", out)


def make_plugins(version, out, jars):
    """A jar keeps the version that it has in its name. Where that is not the version of Flink, a symbolic link has the
    name that it has in the official image, for ENABLE_BUILT_IN_PLUGINS."""
    with tarfile.open(out + ".part", "w") as tar:
        for jar in jars:
            name = os.path.basename(jar)
            with open(jar, "rb") as f:
                add(tar, "opt/flink/opt/" + name, f.read(), uid=9999)
            link = tarfile.TarInfo("opt/flink/opt/" + re.sub(r"-[0-9.]+[.]jar$", f"-{version}.jar", name))
            if os.path.basename(link.name) != name:
                link.type, link.linkname, link.uid, link.gid = tarfile.SYMTYPE, name, 9999, 9999
                tar.addfile(link)
    os.rename(out + ".part", out)


def flink_tags(version):
    versions = [version, version.rsplit(".", 1)[0]] + (["1.16.0"] if version == "1.16.3" else [])
    suffixes = ["", "-scala_2.12", "-java11", "-java17", "-scala_2.12-java11", "-scala_2.12-java17"]
    return [f"docker.io/{repo}/flink:{v}{s}" for v in versions for s in suffixes for repo in ("apache", "library")]


def main(args):
    if args[:1] == ["pause"] and len(args) == 2:
        with tempfile.TemporaryDirectory() as tmp:
            with tarfile.open(tmp + "/layer.tar", "w") as tar, open(args[1], "rb") as f:
                add(tar, "pause", f.read(), 0o755)
            write_image(["testbed.local/pause:1"], [tmp + "/layer.tar"], {"Entrypoint": ["/pause"]})
    elif args[:1] == ["layer"] and len(args) == 3:
        make_layer(args[1], args[2])
    elif args[:1] == ["plugins"] and len(args) > 2:
        make_plugins(args[1], args[2], args[3:])
    elif args[:1] == ["flink"] and len(args) > 3:
        old = tuple(int(n) for n in args[1].split(".")[:2]) < (1, 18)
        write_image(flink_tags(args[1]), args[2:], {
            "Entrypoint": ["/docker-entrypoint.sh"], "Cmd": ["help"], "User": "9999:9999",
            "WorkingDir": "/opt/flink",
            "Env": ["PATH=/opt/flink/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "FLINK_HOME=/opt/flink", "JAVA_HOME=/usr/lib/jvm/java-17-openjdk-amd64"]
            + (["JAVA_TOOL_OPTIONS=" + JAVA_OPTS] if old else [])})
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
