"""oci.py archive FILE TARGET [NAME] | oci.py registry URL REPOSITORY REFERENCE TARGET [NAME]

Makes the folder TARGET an OCI image layout, which udocker can load: of a docker archive, whoever made it, or of an image
in a registry (a user name and a password on stdin, a line each and perhaps empty). Everything is checked against its
digest. With NAME it is one for podman and docker: it is called NAME:ID there, and ID is printed. For machines with
udocker, podman or docker; nothing but Python's library is used.
"""
import base64
import hashlib
import http.client
import io
import json
import os
import platform
import re
import sys
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request

manifest_kind = "application/vnd.oci.image.manifest.v1+json"
indices = ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"]
manifests = [manifest_kind, "application/vnd.docker.distribution.manifest.v2+json"]
seconds = 60
mark = "prominence.layers"


interrupted = (OSError, http.client.HTTPException)


class Refused(Exception):
    """The message says what was wrong; nothing changes by trying again."""


class Layout:
    def __init__(self, folder, name=None):
        self.folder = folder
        self.name = name
        self.blobs = os.path.join(folder, "blobs", "sha256")
        os.makedirs(self.blobs)

    def add(self, stream, kind, expected=None):
        part = os.path.join(self.blobs, "part")
        digest, size = hashlib.sha256(), 0
        with open(part, "wb") as out:
            for piece in iter(lambda: stream.read(1 << 20), b""):
                out.write(piece)
                digest.update(piece)
                size += len(piece)
        name = "sha256:" + digest.hexdigest()
        if expected not in (None, name):
            os.remove(part)
            raise OSError("unexpected EOF: %s came as %s" % (expected, name))
        os.rename(part, os.path.join(self.blobs, digest.hexdigest()))
        return {"mediaType": kind, "digest": name, "size": size}

    def close(self, config, layers):
        name = "latest"
        if self.name:
            layers = [dict(each, mediaType=in_oci_words(each["mediaType"])) for each in layers]
            config = self.marked(dict(config, mediaType=in_oci_words(config["mediaType"])), layers)
            image = config["digest"].split(":")[1]
            name = "%s:%s" % (self.name, image)
            # As docker has it, which may not look at the rest.
            paths = ["blobs/sha256/" + each["digest"].split(":")[1] for each in layers]
            self.write("manifest.json", [{"Config": "blobs/sha256/" + image, "RepoTags": [name], "Layers": paths}])
            print(image)
        manifest = {"schemaVersion": 2, "mediaType": manifest_kind, "config": config, "layers": layers}
        found = self.add(io.BytesIO(json.dumps(manifest).encode()), manifest_kind)
        found["annotations"] = {"org.opencontainers.image.ref.name": name}
        if self.name:
            found["annotations"]["io.containerd.image.name"] = name
        self.write("index.json", {"schemaVersion": 2, "manifests": [found]})
        self.write("oci-layout", {"imageLayoutVersion": "1.0.0"})

    def marked(self, config, layers):
        """An engine knows an image by its configuration alone: it must not be that of another one with other layers."""
        with open(os.path.join(self.blobs, config["digest"].split(":")[1])) as file:
            described = json.load(file)
        inner = described.get("config") or {}
        held = " ".join(each["digest"] for each in layers)
        inner["Labels"] = dict(inner.get("Labels") or {}, **{mark: hashlib.sha256(held.encode()).hexdigest()})
        # A check of its health is not asked for, and nobody would look at it.
        inner.pop("Healthcheck", None)
        described["config"] = inner
        return self.add(io.BytesIO(json.dumps(described, sort_keys=True).encode()), config["mediaType"])

    def write(self, name, value):
        with open(os.path.join(self.folder, name), "w") as out:
            json.dump(value, out)


def in_oci_words(kind):
    return {
        "application/vnd.docker.container.image.v1+json": "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
    }.get(kind, kind)


def from_archive(file, layout):
    with tarfile.open(file) as archive:

        def member(name):
            stream = archive.extractfile(name)
            if stream is None:
                raise KeyError(name)
            return stream

        image = json.load(member("manifest.json"))[0]
        config = layout.add(member(image["Config"]), "application/vnd.oci.image.config.v1+json")
        layers = []
        for name in image["Layers"]:
            packed = "+gzip" if member(name).read(2) == b"\x1f\x8b" else ""
            layers.append(layout.add(member(name), "application/vnd.oci.image.layer.v1.tar" + packed))
    layout.close(config, layers)


class Registry:
    def __init__(self, url, repository, user, password):
        self.base = "%s/v2/%s" % (url, repository)
        self.secure = url.startswith("https:")
        self.basic = "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode() if user or password else None
        self.authorization = None

    def open(self, path, accept):
        for again in (True, False):
            request = urllib.request.Request(self.base + path, headers={"Accept": ", ".join(accept)})
            if self.authorization:
                # Not for the store that a registry may send us on to.
                request.add_unredirected_header("Authorization", self.authorization)
            try:
                return urllib.request.urlopen(request, timeout=seconds)
            except urllib.error.HTTPError as error:
                if error.code == 401 and again and self.authorize(error.headers.get("WWW-Authenticate", "")):
                    continue
                if 400 <= error.code < 500 and error.code not in (408, 429):
                    raise Refused("%s: status %d %s" % (path.split("/")[1], error.code, error.reason))
                raise OSError("status %d %s" % (error.code, error.reason))

    def authorize(self, challenge):
        scheme = challenge.split(" ")[0].lower()
        if scheme == "basic":
            self.authorization = self.basic
        elif scheme == "bearer":
            words = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
            realm = words.pop("realm", "")
            # A password never goes out in the clear unless this registry was said to be spoken to so.
            if not realm.startswith("https:") and self.secure:
                return False
            asked = {key: words[key] for key in ("service", "scope") if key in words}
            request = urllib.request.Request(realm + "?" + urllib.parse.urlencode(asked))
            if self.basic:
                request.add_unredirected_header("Authorization", self.basic)
            try:
                answer = json.load(urllib.request.urlopen(request, timeout=seconds))
            except urllib.error.HTTPError:
                return False
            self.authorization = "Bearer " + (answer.get("token") or answer.get("access_token") or "")
        return self.authorization is not None


def patiently(work):
    for pause in (1, 2, 0):
        try:
            return work()
        except interrupted:
            if pause == 0:
                raise
            time.sleep(pause)


def from_registry(registry, reference, layout):
    def manifest(name):
        return patiently(lambda: json.load(registry.open("/manifests/" + name, manifests + indices)))

    def blob(entry):
        return patiently(
            lambda: layout.add(registry.open("/blobs/" + entry["digest"], ["*/*"]), entry["mediaType"], entry["digest"])
        )

    found = manifest(reference)
    if "manifests" in found:
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        fitting = [
            entry
            for entry in found["manifests"]
            if entry.get("platform", {}).get("os") == "linux" and entry["platform"].get("architecture") == machine
        ]
        if not fitting:
            raise Refused("the image is not made for linux on " + machine)
        found = manifest(fitting[0]["digest"])
    if "layers" not in found:
        raise Refused("the registry's answer is no manifest of an image")
    layout.close(blob(found["config"]), [blob(entry) for entry in found["layers"]])


def main(words):
    try:
        if words[0] == "archive":
            from_archive(words[1], Layout(*words[2:4]))
        else:
            user, password = (sys.stdin.readline().rstrip("\n") for _ in range(2))
            from_registry(Registry(words[1], words[2], user, password), words[3], Layout(*words[4:6]))
    except (tarfile.TarError, KeyError, IndexError, TypeError, ValueError) as error:
        sys.exit("ERROR: this is no image: %s %s" % (type(error).__name__, error))
    except (Refused,) + interrupted as error:
        sys.exit("ERROR: %s" % (getattr(error, "reason", None) or error))


main(sys.argv[1:])
