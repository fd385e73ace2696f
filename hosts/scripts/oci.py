"""oci.py archive FILE MOST_BYTES TARGET [NAME] | oci.py registry URL REPOSITORY REFERENCE MOST_BYTES TARGET [NAME]

Reads an image of a docker archive or of an OCI layout in a tar, whoever made it, or of a registry (a user name and a
password on stdin, a line each and perhaps empty). Everything is checked against the digest that names it, and the layers
are made one (layers.py). With NAME, the folder TARGET becomes an OCI image layout with that layer for podman and docker:
the image is called NAME:ID there, and ID is printed. Without, it is for udocker: the layout holds an empty layer, and
TARGET.tar is what belongs into the container. For machines with udocker, podman or docker; nothing but Python's library is
used.
"""
import base64
import hashlib
import http.client
import io
import ipaddress
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

import layers
from layers import Refused

manifest_kind = "application/vnd.oci.image.manifest.v1+json"
config_kind = "application/vnd.oci.image.config.v1+json"
layer_kind = "application/vnd.oci.image.layer.v1.tar"
indices = ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"]
manifests = [manifest_kind, "application/vnd.docker.distribution.manifest.v2+json"]
seconds = 60
most_document_bytes = 4 << 20
mark = "prominence.layers"
grammar = re.compile(r"sha256:[0-9a-f]{64}\Z|sha512:[0-9a-f]{128}\Z")
names_of_machines = {
    "x86_64": ["amd64", "x86_64", "386"],
    "aarch64": ["arm64", "aarch64"],
    "armv7l": ["arm"],
    "i686": ["386"],
}


interrupted = (OSError, http.client.HTTPException)


class Answered(Exception):
    """The registry will not give it."""


def checked(digest):
    """What names content is compared with its grammar before it names anything here."""
    if not isinstance(digest, str) or not grammar.match(digest):
        raise Refused("the image names something by %s, which is no digest" % json.dumps(digest)[:200])
    return digest


def copied(stream, path, digest, size):
    """Writes what a stream gives, which must be what was announced."""
    found, count = hashlib.new(checked(digest).split(":")[0]), 0
    with open(path, "wb") as out:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            count += len(piece)
            if count > size:
                break
            found.update(piece)
            out.write(piece)
    if count < size:
        raise OSError("unexpected EOF: of %s came %d of %d bytes" % (digest, count, size))
    if count > size or found.hexdigest() != digest.split(":")[1]:
        raise Refused("what came as %s is something else" % digest)


def document(stream, digest=None):
    """Reads a JSON object of a sane size, which must be what its name says."""
    content = stream.read(most_document_bytes + 1)
    if len(content) > most_document_bytes:
        raise Refused("the image's description is larger than %d bytes" % most_document_bytes)
    if digest is not None:
        kind, name = checked(digest).split(":")
        if hashlib.new(kind, content).hexdigest() != name:
            raise Refused("what came as %s is something else" % digest)
    found = json.loads(content.decode())
    if not isinstance(found, dict):
        raise Refused("the image's description is no JSON object")
    return found


def size_of(entry):
    size = entry.get("size")
    if not isinstance(size, int) or size < 0:
        raise Refused("the image does not tell the size of %s" % checked(entry.get("digest")))
    return size


def fitting(entries):
    """The one of several images that is for this machine."""
    wanted = names_of_machines.get(platform.machine(), [platform.machine()])
    for name in wanted:
        for entry in entries:
            made = entry.get("platform") or {}
            if made.get("os") == "linux" and made.get("architecture") == name:
                return entry
    made = sorted({"%s/%s" % (each["platform"].get("os"), each["platform"].get("architecture")) for each in entries if each.get("platform")})
    raise Refused("the image is made for %s, and this machine is linux/%s" % (", ".join(made) or "nothing known", wanted[0]))


class Builder:
    """Takes an image's configuration and layers, and makes what the machine's program is given."""

    def __init__(self, most_bytes, folder, name=None):
        self.folder, self.name = folder, name
        self.most_bytes = most_bytes
        self.blobs = os.path.join(folder, "blobs", "sha256")
        os.makedirs(self.blobs)
        self.parts = folder + ".parts"
        os.makedirs(self.parts)
        self.tree = layers.Tree(most_bytes)
        self.plain, self.remaining = {}, most_bytes
        self.part_count = 0

    def part(self):
        self.part_count += 1
        return os.path.join(self.parts, str(self.part_count))

    def build(self, config, packed):
        """@param packed: pairs of what names a layer and a function that gives its file, in order"""
        self.check(config)
        announced = (config.get("rootfs") or {}).get("diff_ids") or []
        if len(announced) != len(packed):
            raise Refused("the image has %d layers, and its configuration tells of %d" % (len(packed), len(announced)))
        for (key, fetch), expected in zip(packed, announced):
            if key not in self.plain:
                self.plain[key] = self.unpack(fetch())
            path, digest = self.plain[key]
            if digest != expected:
                raise Refused("a layer of the image is not %s, as its configuration says" % str(expected)[:100])
            self.tree.apply(path)
        if not self.name:
            self.tree.make_own()
            self.tree.write(self.folder + ".tar")
            empty = self.part()
            with tarfile.open(empty, "w"):
                pass
            self.finish(config, self.add_file(empty))
            return
        flat = self.part()
        self.tree.write(flat)
        self.finish(config, self.add_file(flat))

    def unpack(self, packed):
        path = self.part()
        digest, size = layers.unpacked(packed, path, self.remaining)
        self.remaining -= size
        os.remove(packed)
        return path, digest

    def check(self, config):
        made = config.get("architecture") or ""
        wanted = names_of_machines.get(platform.machine(), [platform.machine()])
        if made and made not in wanted or config.get("os", "linux") not in ("linux", ""):
            raise Refused("the image is made for %s/%s, and this machine is linux/%s" % (config.get("os", "linux"), made, wanted[0]))

    def finish(self, config, layer):
        config = dict(config, rootfs={"type": "layers", "diff_ids": [layer["digest"]]})
        # It tells of the layers that there were.
        config.pop("history", None)
        config.setdefault("os", "linux")
        name = "latest"
        if self.name:
            # An engine knows an image by its configuration, and must know ours from what others may have loaded.
            inner = dict(config.get("config") or {})
            inner["Labels"] = dict(inner.get("Labels") or {}, **{mark: layer["digest"]})
            # A check of its health is not asked for, and nobody would look at it.
            inner.pop("Healthcheck", None)
            config["config"] = inner
        described = self.add(json.dumps(config, sort_keys=True).encode(), config_kind)
        if self.name:
            image = described["digest"].split(":")[1]
            name = "%s:%s" % (self.name, image)
            # As docker has it, which may not look at the rest.
            paths = ["blobs/sha256/" + layer["digest"].split(":")[1]]
            self.write("manifest.json", [{"Config": "blobs/sha256/" + image, "RepoTags": [name], "Layers": paths}])
            print(image)
        manifest = {"schemaVersion": 2, "mediaType": manifest_kind, "config": described, "layers": [layer]}
        found = self.add(json.dumps(manifest).encode(), manifest_kind)
        found["annotations"] = {"org.opencontainers.image.ref.name": name}
        if self.name:
            found["annotations"]["io.containerd.image.name"] = name
        self.write("index.json", {"schemaVersion": 2, "manifests": [found]})
        self.write("oci-layout", {"imageLayoutVersion": "1.0.0"})

    def add(self, content, kind):
        digest = hashlib.sha256(content).hexdigest()
        with open(os.path.join(self.blobs, digest), "wb") as out:
            out.write(content)
        return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(content)}

    def add_file(self, path):
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            for piece in iter(lambda: file.read(1 << 20), b""):
                digest.update(piece)
        size = os.path.getsize(path)
        os.rename(path, os.path.join(self.blobs, digest.hexdigest()))
        return {"mediaType": layer_kind, "digest": "sha256:" + digest.hexdigest(), "size": size}

    def write(self, name, value):
        with open(os.path.join(self.folder, name), "w") as out:
            json.dump(value, out)


class Archive:
    """The files of a tar by their names; links lead to files of the same tar, as older versions of docker save layers."""

    def __init__(self, file):
        self.tar = tarfile.open(file, "r:")
        self.members = {"/".join(layers.words_of(member.name)): member for member in self.tar}

    def find(self, name):
        for _ in range(20):
            member = self.members.get("/".join(layers.words_of(name)))
            if member is None or member.isreg():
                return member
            if member.issym():
                name = os.path.join(os.path.dirname(name), member.linkname)
            elif member.islnk():
                name = member.linkname
            else:
                return None
        return None

    def open(self, name):
        member = self.find(name) if isinstance(name, str) else None
        if member is None:
            raise Refused("the archive holds no file %s, which it tells of" % json.dumps(name)[:200])
        return self.tar.extractfile(member)

    def blob(self, digest):
        return self.open("blobs/" + checked(digest).replace(":", "/"))


def from_archive(file, builder):
    archive = Archive(file)
    if archive.find("manifest.json"):
        from_docker_archive(archive, builder)
    elif archive.find("index.json"):
        index = document(archive.open("index.json"))
        entries = index["manifests"]
        if len(entries) != 1:
            raise Refused("the archive holds %d images, and only one could be meant: save one only" % len(entries))

        def blob(entry):
            path = builder.part()
            with archive.blob(entry["digest"]) as stream:
                copied(stream, path, entry["digest"], size_of(entry))
            return path

        from_manifest(entries[0], lambda entry: document(archive.blob(entry["digest"]), entry["digest"]), blob, builder)
    else:
        raise Refused("the archive holds no image: it has neither a manifest.json, as docker saves it, nor an index.json")


def from_docker_archive(archive, builder):
    with archive.open("manifest.json") as stream:
        images = json.loads(stream.read(most_document_bytes).decode())
    if len(images) != 1:
        names = ", ".join(str(tag) for each in images for tag in each.get("RepoTags") or [])
        raise Refused("the archive holds %d images, and only one could be meant: save one only (%s)" % (len(images), names[:300]))
    image = images[0]
    named = re.match(r"blobs/(sha256)/([0-9a-f]{64})\Z", image["Config"])
    config = document(archive.open(image["Config"]), named and ":".join(named.groups()))

    def layer(name):
        path = builder.part()
        with archive.open(name) as stream, open(path, "wb") as out:
            for piece in iter(lambda: stream.read(1 << 20), b""):
                out.write(piece)
        return path

    builder.build(config, [(archive.find(name).name if archive.find(name) else name, lambda name=name: layer(name)) for name in image["Layers"]])


def from_manifest(entry, read, blob, builder):
    """@param read: gives the document that an entry names; blob: the file"""
    found = read(entry)
    for _ in range(3):
        if "manifests" not in found:
            break
        found = read(fitting(found["manifests"]))
    if "layers" not in found or "config" not in found:
        raise Refused("this is no manifest of an image")
    config = read(found["config"])
    builder.build(config, [(checked(each["digest"]), lambda each=each: blob(each)) for each in found["layers"]])


class Redirects(urllib.request.HTTPRedirectHandler):
    """Nothing that was to be encrypted goes on in the clear, and what opens this registry stays with it."""

    def redirect_request(self, request, answer, code, reason, headers, url):
        if request.full_url.startswith("https:") and not url.lower().startswith("https:"):
            raise Refused("the registry leads on to an address without TLS")
        return super().redirect_request(request, answer, code, reason, headers, url)


def refuse_neighbours(connection):
    """No registry is at a link-local address; what a cloud tells its machines, keys among it, is."""
    address = ipaddress.ip_address(connection.sock.getpeername()[0].split("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_link_local or address == ipaddress.ip_address("fd00:ec2::254"):
        connection.close()
        raise Refused("%s is an address of this machine's own network, where no registry is" % address)


class Connection(http.client.HTTPConnection):
    def connect(self):
        super().connect()
        refuse_neighbours(self)


class SecureConnection(http.client.HTTPSConnection):
    def connect(self):
        super().connect()
        refuse_neighbours(self)


class Plain(urllib.request.HTTPHandler):
    def http_open(self, request):
        return self.do_open(Connection, request)


class Secure(urllib.request.HTTPSHandler):
    def https_open(self, request):
        return self.do_open(SecureConnection, request)


def make_opener():
    """Of http and https only: a registry must not make us open files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        Plain,
        Secure,
        Redirects,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


class Registry:
    def __init__(self, url, repository, user, password):
        self.base = "%s/v2/%s" % (url, repository)
        self.host = urllib.parse.urlsplit(url).netloc
        self.secure = url.startswith("https:")
        self.basic = "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode() if user or password else None
        self.authorization = None
        self.opener = make_opener()

    def open(self, path, accept):
        for again in (True, False):
            request = urllib.request.Request(self.base + path, headers={"Accept": ", ".join(accept)})
            if self.authorization:
                # Not for the store that a registry may send us on to.
                request.add_unredirected_header("Authorization", self.authorization)
            try:
                return self.opener.open(request, timeout=seconds)
            except urllib.error.HTTPError as error:
                if error.code == 401 and again and self.authorize(error.headers.get("WWW-Authenticate", "")):
                    continue
                if 400 <= error.code < 500 and error.code not in (408, 429):
                    raise Answered("%s: status %d %s" % (path.split("/")[1], error.code, error.reason))
                raise OSError("status %d %s" % (error.code, error.reason))

    def authorize(self, challenge):
        scheme = challenge.split(" ")[0].lower()
        if scheme == "basic":
            self.authorization = self.basic
        elif scheme == "bearer":
            words = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
            realm = words.pop("realm", "")
            if not self.may_ask(realm):
                return False
            asked = {key: words[key] for key in ("service", "scope") if key in words}
            request = urllib.request.Request(realm + "?" + urllib.parse.urlencode(asked))
            if self.basic:
                request.add_unredirected_header("Authorization", self.basic)
            try:
                answer = document(self.opener.open(request, timeout=seconds))
            except (urllib.error.HTTPError, ValueError):
                return False
            self.authorization = "Bearer %s" % (answer.get("token") or answer.get("access_token") or "")
        return self.authorization is not None

    def may_ask(self, realm):
        """A password goes out in the clear only to a registry that was said to be spoken to so."""
        where = urllib.parse.urlsplit(realm)
        return where.scheme == "https" or where.scheme == "http" and not self.secure and where.netloc == self.host


def patiently(work):
    for pause in (1, 2, 0):
        try:
            return work()
        except interrupted:
            if pause == 0:
                raise
            time.sleep(pause)


def from_registry(registry, reference, builder):
    def read(entry):
        digest = entry.get("digest")
        is_blob = entry.get("mediaType") not in manifests + indices and digest is not None
        path = ("/blobs/" if is_blob else "/manifests/") + (reference if digest is None else checked(digest))
        accept = ["*/*"] if is_blob else manifests + indices
        return patiently(lambda: document(registry.open(path, accept), digest))

    def blob(entry):
        path = builder.part()
        size = size_of(entry)
        layers.bound(size, builder.most_bytes)
        opened = lambda: registry.open("/blobs/" + checked(entry["digest"]), ["*/*"])
        patiently(lambda: copied(opened(), path, entry["digest"], size))
        return path

    from_manifest({"digest": reference if ":" in reference else None, "mediaType": manifest_kind}, read, blob, builder)


def main(words):
    try:
        if words[0] == "archive":
            from_archive(words[1], Builder(int(words[2]), *words[3:5]))
        else:
            user, password = (sys.stdin.readline().rstrip("\n") for _ in range(2))
            registry = Registry(words[1], words[2], user, password)
            from_registry(registry, words[3], Builder(int(words[4]), *words[5:7]))
    except Refused as error:
        sys.exit("REFUSED: %s" % error)
    except Answered as error:
        sys.exit("ERROR: %s" % error)
    except (tarfile.TarError, LookupError, AttributeError, TypeError, ValueError, EOFError, RecursionError) as error:
        sys.exit("REFUSED: this is no image: %s" % (error or type(error).__name__))
    except interrupted as error:
        sys.exit("ERROR: %s" % (getattr(error, "reason", None) or error))


if __name__ == "__main__":
    main(sys.argv[1:])
