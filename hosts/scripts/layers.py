"""The one file system that the layers of an image make (OCI image specification, layer.md).

Nothing of a layer is unpacked to learn it: layers are read into a tree in memory, in which a link, a name or a device means
nothing to this machine, and the tree is written as one tar. There every name's folders are folders, so that whoever unpacks
it follows no link of the image. Nothing but Python's library is used.
"""
import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile

most_names = 1000000
longest_name = 4096
most_links = 255
whiteout = ".wh."
opaque = ".wh..wh..opq"
piece_bytes = 1 << 20


class Refused(Exception):
    """The message says what was wrong; nothing changes by trying again."""


class Node:
    __slots__ = ("kind", "mode", "uid", "gid", "mtime", "layer", "children", "content", "target")

    def __init__(self, kind, layer, member=None):
        self.kind = kind
        self.layer = layer
        self.children = {} if kind == "folder" else None
        self.content = self.target = None
        self.mode, self.uid, self.gid, self.mtime = 0o755, 0, 0, 0
        if member is not None:
            self.describe(member)

    def describe(self, member):
        # Whoever runs the image gets no other account's rights by it, and no files that give its own to others.
        self.mode = member.mode & 0o1777
        self.uid, self.gid = max(0, member.uid), max(0, member.gid)
        self.mtime = min(max(0, int(member.mtime)), 1 << 33)


def words_of(name):
    """The steps of a name inside of the image: `/` and `..` lead no further than to its root."""
    if len(name) > longest_name:
        raise Refused("the image holds a name of more than %d characters" % longest_name)
    words = []
    for word in name.split("/"):
        if word == "..":
            del words[-1:]
        elif word not in ("", "."):
            words.append(word)
    return words


class Tree:
    def __init__(self, most_bytes):
        self.root = Node("folder", 0)
        self.most_bytes = most_bytes
        self.layer = 0
        self.names = 0

    def apply(self, path):
        """Adds the layer that is the plain tar `path`, which must stay until the tree is written."""
        self.layer += 1
        self.size = os.path.getsize(path)
        # Some programs end a layer with its last file, and don't fill its last block.
        if self.size % tarfile.BLOCKSIZE:
            with open(path, "ab") as layer:
                layer.write(bytes(-self.size % tarfile.BLOCKSIZE))
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                self.names += 1
                if self.names > most_names:
                    raise Refused("the image holds more than %d files" % most_names)
                self.add(member, path)
                # It would remember them all.
                tar.members = []

    def add(self, member, path):
        words = words_of(member.name)
        if not words:
            if member.isdir():
                self.root.describe(member)
            return
        name = words.pop()
        if name.startswith(whiteout):
            self.hide(words, name)
            return
        if member.islnk():
            found = self.linked(member)
            node = Node(found.kind, self.layer)
            # Of files the content is one; it tells when they are written that they are.
            for each in ("mode", "uid", "gid", "mtime", "content", "target"):
                setattr(node, each, getattr(found, each))
            self.folder(words).children[name] = node
            return
        parent = self.folder(words)
        if member.isdir():
            node = parent.children.get(name)
            if node is None or node.kind != "folder":
                node = Node("folder", self.layer)
            node.describe(member)
            node.layer = self.layer
        elif member.issym():
            node = Node("link", self.layer, member)
            node.target, node.mode = member.linkname, 0o777
        elif member.isreg():
            node = Node("file", self.layer, member)
            sparse = getattr(member, "sparse", None)
            if not sparse and member.offset_data + member.size > self.size:
                raise Refused("a layer of the image ends within %s" % member.name[:100])
            node.content = (path, member.offset_data, member.size, member if sparse else None)
        elif member.isfifo():
            node = Node("pipe", self.layer, member)
        else:
            # A device is not for those who may make none.
            parent.children.pop(name, None)
            return
        parent.children[name] = node

    def linked(self, member):
        words = words_of(member.linkname)
        parent = self.folder(words[:-1], make=False) if words else None
        found = parent and parent.children.get(words[-1])
        if not found or found.kind == "folder":
            raise Refused("the image holds a hard link, %s, to %s, which is no file of it" % (member.name, member.linkname))
        return found

    def folder(self, words, make=True):
        """The folder at a path of the image, through the links that it has there. What is no folder gives way to one."""
        waiting, way, links = list(reversed(words)), [self.root], 0
        while waiting:
            word = waiting.pop()
            if word == "..":
                if len(way) > 1:
                    way.pop()
                continue
            if word in ("", "."):
                continue
            here = way[-1]
            found = here.children.get(word)
            if found is not None and found.kind == "link":
                links += 1
                if links > most_links:
                    raise Refused("the image holds links that lead nowhere but to each other, at %s" % "/".join(words))
                if found.target.startswith("/"):
                    way = [self.root]
                waiting.extend(reversed(found.target.split("/")))
                continue
            if found is None or found.kind != "folder":
                if not make:
                    return None
                self.names += 1
                found = here.children[word] = Node("folder", self.layer)
            way.append(found)
            if len(way) > longest_name:
                raise Refused("the image holds folders in folders in folders without an end")
        return way[-1]

    def hide(self, words, name):
        parent = self.folder(words, make=False)
        if parent is None:
            return
        if name == opaque:
            self.prune(parent)
        elif not name.startswith(whiteout + whiteout):
            hidden = name[len(whiteout) :]
            node = parent.children.get(hidden)
            if node is not None and not self.is_kept(node):
                del parent.children[hidden]

    def is_kept(self, node):
        """A whiteout hides what earlier layers brought, and nothing of its own."""
        if node.kind == "folder":
            self.prune(node)
            return node.layer == self.layer or bool(node.children)
        return node.layer == self.layer

    def prune(self, folder):
        """Takes out of a folder, at any depth, all that is not of this layer."""
        order = [folder]
        for each in order:
            order.extend(child for child in each.children.values() if child.kind == "folder")
        for each in reversed(order):
            for name, child in list(each.children.items()):
                if child.layer != self.layer and not child.children:
                    del each.children[name]

    def make_own(self):
        """Leaves to the account that unpacks it all that is needed to read, change and remove it; and no links for those
        files that udocker itself opens."""
        waiting = [self.root]
        for node in waiting:
            node.mode |= 0o700 if node.kind == "folder" else 0o600
            waiting.extend((node.children or {}).values())
        etc = self.root.children.get("etc")
        if etc is not None and etc.kind == "folder":
            for name in ("passwd", "group"):
                if name in etc.children and etc.children[name].kind != "file":
                    del etc.children[name]

    def write(self, path):
        """The whole as one tar, whose names are those of `tar` with long ones as GNU has them: any bytes are kept."""
        written, total = {}, 0
        opened = {}
        try:
            with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as out:
                waiting = [("", self.root)]
                while waiting:
                    name, node = waiting.pop()
                    member = tarfile.TarInfo(name or ".")
                    if len(name) > longest_name:
                        raise Refused("the image holds a name of more than %d characters" % longest_name)
                    member.mode, member.uid, member.gid, member.mtime = node.mode, node.uid, node.gid, node.mtime
                    if node.kind == "folder":
                        member.type = tarfile.DIRTYPE
                        out.addfile(member)
                        below = name + "/" if name else ""
                        waiting.extend((below + word, child) for word, child in reversed(list(node.children.items())))
                        continue
                    if node.content is not None and id(node.content) in written:
                        member.type, member.linkname = tarfile.LNKTYPE, written[id(node.content)]
                        out.addfile(member)
                        continue
                    if node.kind == "link":
                        member.type, member.linkname = tarfile.SYMTYPE, node.target
                        out.addfile(member)
                    elif node.kind == "pipe":
                        member.type = tarfile.FIFOTYPE
                        out.addfile(member)
                    else:
                        written[id(node.content)] = name
                        total += node.content[2]
                        bound(total, self.most_bytes)
                        member.size = node.content[2]
                        out.addfile(member, stream_of(node.content, opened))
        finally:
            for tar in opened.values():
                tar.close()


def stream_of(content, opened):
    path, offset, _, sparse = content
    if path not in opened:
        opened[path] = tarfile.open(path, "r:")
    if sparse is not None:
        return opened[path].extractfile(sparse)
    opened[path].fileobj.seek(offset)
    return opened[path].fileobj


def bound(size, most_bytes):
    if size > most_bytes:
        raise Refused("the image unpacks to more than %.1f GB, which is the most that is taken here" % (most_bytes / 1e9))


def unpacked(packed, path, most_bytes):
    """Writes a layer as a plain tar, whatever it was compressed with. @returns the digest and the size of that"""
    with open(packed, "rb") as file:
        magic = file.read(6)
    digest, size = hashlib.sha256(), 0
    with decompressed(packed, magic) as source, open(path, "wb") as out:
        for piece in iter(lambda: source.read(piece_bytes), b""):
            size += len(piece)
            bound(size, most_bytes)
            digest.update(piece)
            out.write(piece)
    return "sha256:" + digest.hexdigest(), size


def decompressed(path, magic):
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(path, "rb")
    if magic[:4] == b"\x28\xb5\x2f\xfd":
        return open_zstd(path)
    # Apptainer can't unpack these, and an image is to mean the same everywhere.
    for start, name in ((b"\xfd7zXZ\x00", "xz"), (b"BZh", "bzip2")):
        if magic.startswith(start):
            raise Refused("a layer of the image is compressed with %s: only gzip and zstd are taken, or none" % name)
    return open(path, "rb")


def open_zstd(path):
    try:
        from compression import zstd
    except ImportError:
        program = shutil.which("zstd") or shutil.which("unzstd")
        if program is None:
            raise Refused("a layer of the image is compressed with zstd, which this machine has no program for")
        return Piped([program, "-d", "-c", "-q", path])
    return zstd.open(path, "rb")


class Piped:
    """What a program writes, as a file; fails at its end when the program did."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def read(self, size):
        piece = self.process.stdout.read(size)
        if not piece and self.process.wait() != 0:
            raise ValueError("a layer is damaged")
        return piece

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdout.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
