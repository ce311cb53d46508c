#!/usr/bin/env python3
"""Write the `edge` images: legal but awkward layers, built byte by byte with
tarfile, independently of buildah/umoci/podman.

  mkedge.py OCI_LAYOUT_DIR     write all edge-* tags and `multi` into the layout
  mkedge.py --list             print the tags
"""
import os, struct, subprocess, sys, tarfile, tempfile, zlib

from mkimage import NOW, Layer as L, Layout, gz, noise, zst

GZ, ZST, RAW = "gzip", "zstd", ""
# edge-*: every tool should agree. odd-*: legal or seen in the wild, but tools differ (see test_trees.py).
TAGS = ["edge-gzip", "edge-zstd", "edge-raw", "edge-mixed", "edge-gzmulti", "edge-gzstored", "edge-zstmulti", "edge-gnu", "edge-sparse", "edge-zeros256m",
        "odd-gnusparse", "odd-zstskip", "odd-symparent", "odd-dupes", "odd-whorder", "odd-hlcross", "odd-chr00", "odd-implicit"]


def caps():  # cap_net_raw=ep, VFS_CAP_REVISION_2
    return struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


def layer1(fmt=tarfile.PAX_FORMAT):
    l = L(fmt); pax = fmt == tarfile.PAX_FORMAT
    l.d("./", mode=0o755)
    for d in ("bin", "etc", "usr", "usr/bin", "usr/lib", "var", "var/empty", "dev", "proc", "sys", "root", "perm", "time", "xattr", "special", "hl", "ln", "names",
              "size", "wh", "wh/dir", "wh/dir/sub", "wh/deepkeep", "opq", "opq/sub", "opq2", "opqnew", "dir2file", "dir2file/in", "dir2link", "meta", "meta/dir", "rehl", "many"): l.d(d + "/")
    l.d("tmp/", mode=0o1777)
    l.f("bin/busybox", noise(600000, b"busybox"), mode=0o755)
    for a in ("sh", "ls", "cat", "find", "stat", "id", "touch", "mkdir"): l.s("bin/" + a, "busybox")
    l.f("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n").f("etc/empty", "")
    # modes, owners, times
    l.f("perm/suid", "s", mode=0o4755).f("perm/sgid", "s", mode=0o2755).f("perm/none", "n", mode=0)
    l.d("perm/sgiddir", mode=0o2775, uid=33, gid=33).d("perm/sticky", mode=0o1777).f("perm/owned", "o", uid=65534, gid=100)
    l.f("perm/bigid", "b", uid=2000000 if not pax else 2147483000, gid=2000000)
    l.f("time/epoch0", "0", mtime=0).f("time/future", "2100", mtime=4102444800)
    if pax:
        l.f("time/frac", "f", mtime=NOW + 0.123456789, pax={"mtime": "1700000000.123456789"})
        l.f("time/past", "1960", mtime=-315619200, pax={"mtime": "-315619200"})
        l.f("xattr/user", "x", xattr={"user.lab": "value", "user.empty": "", "user.utf8": "grüße"})
        l.f("xattr/bin", "x", xattr={"user.bin": bytes([1, 0xff, 0xfe, 10, 61, 2])})
        l.f("xattr/cap", "#!/bin/sh\n", mode=0o755, xattr={"security.capability": caps()})
        l.d("xattr/dir", xattr={"user.dir": "d"})
        l.f("xattr/big", "x", xattr={"user.big": "v" * 3000})
    # special files
    l.add("special/fifo", tarfile.FIFOTYPE, mode=0o622)
    l.add("special/null", tarfile.CHRTYPE, mode=0o666, dev=(1, 3)).add("special/loop", tarfile.BLKTYPE, mode=0o660, gid=6, dev=(7, 0))
    l.add("special/bigdev", tarfile.CHRTYPE, mode=0o600, dev=(250, 70000))
    # links
    l.f("hl/a", noise(5000, b"hl")).h("hl/b", "hl/a").h("hl/c", "./hl/a").f("hl/gone", "g").h("hl/stays", "hl/gone")
    l.f("hl/x1", "x" * 10).h("hl/x2", "hl/x1").s("hl/sym", "a").h("hl/sym-hl", "hl/sym")
    l.s("ln/abs", "/etc/passwd").s("ln/rel", "../etc/passwd").s("ln/dangling", "no/such").s("ln/loop", "loop")
    l.s("ln/up", "../../../../../../etc/passwd").s("ln/long", "t/" * 120 + "end").s("ln/verylong", "u" * 4000 if pax else "u" * 900)
    # names
    l.f("names/with space", "1").f("names/-dash", "1").f("names/new\nline", "1").f("names/back\\slash", "1").f("names/quote\"'", "1").f("names/*glob?[x]", "1")
    l.f("names/日本語-ü-é", "u").f("names/e\u0301-nfd", "u").f("names/é-nfc", "u").f("names/😀", "u")
    if pax: l.f("names/latin1-\udce9\udcff", "raw bytes")
    l.f("names/.whatever", "not a whiteout").f("names/x.wh.y", "not a whiteout").f("names/..data", "1").f("names/trailing.", "1")
    l.f("names/" + "n" * 255, "255-byte name")
    deep = ["deep"] + ["d%02d-%s" % (i, "x" * 46) for i in range(12)]
    for i in range(len(deep)): l.d("/".join(deep[:i + 1]))
    l.f("/".join(deep) + "/leaf", "a path of %d bytes" % len("/".join(deep)))
    deep = ["deep2"] + ["y" * 200] * 4
    for i in range(len(deep)): l.d("/".join(deep[:i + 1]))
    # sizes around block, FUSE page and readahead boundaries
    for n in (1, 511, 512, 513, 4095, 4096, 4097, 131071, 131072, 131073, 1048577): l.f("size/%d" % n, noise(n, b"%d" % n))
    # things later layers will change
    for n in ("wh/file", "wh/dir/one", "wh/dir/sub/two", "wh/back", "wh/same", "wh/deepkeep/a", "wh/deepkeep/b", "opq/old1", "opq/sub/old2", "opq2/old",
              "opqnew/old", "file2dir", "dir2file/in/side", "dir2link/in", "meta/file", "meta/dir/file", "meta/touch", "rehl/one"): l.f(n, "from layer 1: " + n)
    l.s("link2dir", "etc").s("link2file", "etc/passwd").h("rehl/two", "rehl/one")
    l.d("emptydir", mode=0o700).d("opq3").f("opq3/kept-by-none", "x")
    for i in range(300): l.f("many/f%03d" % i, "%d\n" % i)
    return l


def layer2(fmt=tarfile.PAX_FORMAT):
    l = L(fmt)
    l.wh("wh/file").wh("wh/dir").wh("wh/back").wh("wh/nothere").wh("nodir/nothere").wh("wh/deepkeep/a")
    l.d("opq/").opq("opq").f("opq/new1", "n").f("opq/new2", "n2")
    l.d("opq2").opq("opq2").f("opq2/new", "n").d("opqnew").opq("opqnew").f("opqnew/after", "b")
    l.d("file2dir/", mode=0o711).f("file2dir/child", "c")
    l.f("dir2file", "was a directory").s("dir2link", "etc")
    l.d("link2dir/", mode=0o750).f("link2dir/real", "r").f("link2file", "no longer a link")
    l.f("meta/file", "from layer 1: meta/file", mode=0o600, uid=7, gid=7, mtime=NOW + 5).d("meta/dir", mode=0o700, uid=5, mtime=NOW + 6)
    l.d("hl").wh("hl/gone").f("hl/x1", "replaced: x2 keeps the old data").d("rehl").f("rehl/two", "two alone").d("wh").d("wh/deepkeep", mode=0o711)
    l.wh("opq3")
    return l


def layer4(fmt=tarfile.PAX_FORMAT):
    l = L(fmt)
    l.d("wh").f("wh/back", "back again in layer 4").d("wh/dir").f("wh/dir/three", "dir is back, without one and sub").d("opq3", mode=0o555)
    l.d("./", mode=0o751, mtime=NOW + 9)
    l.d("usr/lib").f("./usr/lib/dotslash", "./ prefix").f("usr//lib///slashes", "doubled slashes")
    l.f("zeros-64m", bytes(64 << 20))
    return l


EMPTY = bytes(1024)


def sparse_layer(formats):
    with tempfile.TemporaryDirectory() as d:
        os.mkdir(d + "/sparse")
        with open(d + "/sparse/big", "wb") as f:
            f.truncate(1 << 27)
            for off, n in ((0, 4096), (12345678 // 512 * 512, 10000), ((1 << 27) - 777, 777)):
                f.seek(off); f.write(noise(n, b"%d" % off))
        with open(d + "/sparse/allhole", "wb") as f: f.truncate(10 << 20)
        out = b""
        for fmt, v in formats:
            n = d + "/sparse/" + fmt + (v or "")
            os.rename(d + "/sparse/big", n)
            a = ["tar", "--sparse", "--format=" + fmt, "--owner=0", "--group=0", "--mtime=@%d" % NOW, "-C", d, "-cf", "-"]
            if v: a.insert(2, "--sparse-version=" + v)
            o = subprocess.run(a + ["sparse/" + os.path.basename(n)] + (["sparse/allhole"] if v == "1.0" else []), check=True, stdout=subprocess.PIPE).stdout
            out += o.rstrip(b"\0") + bytes(-len(o.rstrip(b"\0")) % 512)   # drop the end blocks, keep one archive
            os.rename(n, d + "/sparse/big")
        return out + bytes(1024)


def gz_multi(b, chunk=300000):
    out = b""
    for n, i in enumerate(range(0, len(b), chunk)):
        c = zlib.compressobj((n % 9) + 1, zlib.DEFLATED, -15)
        body = c.compress(b[i:i + chunk]) + c.flush()
        flg, extra = [(0, b""), (8, b"name.tar\0"), (16, b"comment\0"), (4, struct.pack("<H", 8) + b"LB\4\0abcd"), (2, None)][n % 5]
        h = b"\x1f\x8b\x08" + bytes([flg]) + struct.pack("<I", NOW) + b"\0\xff"
        if flg == 2: extra = struct.pack("<H", zlib.crc32(h) & 0xffff)
        out += h + extra + body + struct.pack("<II", zlib.crc32(b[i:i + chunk]), len(b[i:i + chunk]) & 0xffffffff)
    return out + gz(b"")     # an empty member at the end


def zst_multi(b, chunk=500000, lead=False):
    """several frames, skippable frames between them (and one at the very start: lead)"""
    out = b""
    for n, i in enumerate(range(0, len(b), chunk)):
        if n or lead: out += struct.pack("<II", 0x184D2A50 + n % 16, 5) + b"skip!"
        out += zst(b[i:i + chunk], *(["--no-check"] if n % 2 else []))
    return out


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(TAGS)); return
    o = Layout(sys.argv[1])
    tars = [layer1().bytes(), layer2().bytes(), EMPTY, layer4().bytes()]
    G = [(t, GZ, gz(t)) for t in tars]; Z = [(t, ZST, zst(t)) for t in tars]; R = [(t, RAW, t) for t in tars]
    o.tag("edge-gzip", o.image(G)); o.tag("edge-zstd", o.image(Z)); o.tag("edge-raw", o.image(R))
    o.tag("edge-mixed", o.image([G[0], Z[1], R[2], Z[3]]))
    o.tag("edge-gzmulti", o.image([(t, GZ, gz_multi(t)) for t in tars]))
    o.tag("edge-gzstored", o.image([(t, GZ, gz(t, 0)) for t in tars]))
    o.tag("edge-zstmulti", o.image([(t, ZST, zst_multi(t)) for t in tars[:3]] + [(tars[3], ZST, zst(tars[3], "--ultra", "-20", "--long=26"))]))
    s = sparse_layer([("pax", "1.0"), ("pax", "0.1"), ("pax", "0.0")]); o.tag("edge-sparse", o.image([G[0], (s, GZ, gz(s, 1))]))
    s = sparse_layer([("gnu", None)]); o.tag("odd-gnusparse", o.image([G[0], (s, GZ, gz(s, 1))]))   # typeflag S: umoci 0.4.7 refuses it
    s = L().f("zeros-256m", bytes(1 << 28)).bytes(); o.tag("edge-zeros256m", o.image([(s, GZ, gz(s, 6))])); del s
    # a lower layer's directory symlink as the parent of a later entry (usrmerge)
    a = L().d("usr").d("usr/lib").f("usr/lib/old", "o").s("lib", "usr/lib").s("abs", "/usr/lib").f("bin/busybox", noise(600000, b"busybox"), mode=0o755).bytes()
    b = L().f("lib/new", "through a relative symlink").f("abs/new2", "through an absolute symlink").wh("lib/old").bytes()
    o.tag("odd-symparent", o.image([(a, GZ, gz(a)), (b, GZ, gz(b))]))
    # the same name more than once in one layer: the last entry wins
    a = L().f("a", "first").f("a", "second").d("b").f("b/x", "x").f("b", "now a file").f("c", "file").d("c").f("c/in", "i").s("d", "a").f("d", "a file, not through the link") \
           .f("e", "e1").h("e2", "e").f("e", "e3").d("g", mode=0o700).f("g/k", "kept").d("g", mode=0o755).bytes()
    o.tag("odd-dupes", o.image([(a, GZ, gz(a))]))
    o.tag("odd-zstskip", o.image([(t, ZST, zst_multi(t, lead=True)) for t in tars]))
    # whiteout after the entry it names; marker between or after its siblings, or without a dir entry
    a = L().d("w").f("w/same", "old").f("w/opq/old", "o").f("w/opq2/old", "o").f("w/opq3/old", "o").f("w/d/old", "o").bytes()
    b = L().d("w").f("w/same", "new").wh("w/same").d("w/opq").f("w/opq/new1", "n").opq("w/opq").f("w/opq/new2", "n") \
           .f("w/opq2/new", "n").opq("w/opq2").opq("w/opq3").f("w/d/new", "n").wh("w/d").bytes()
    o.tag("odd-whorder", o.image([(t, GZ, gz(t)) for t in (a, b)]))
    # a hard link whose target is in a lower layer only
    a = L().d("hl").f("hl/a", "aaa").f("hl/b", "bbb").bytes(); b = L().d("hl").h("hl/c", "hl/a").h("hl/d", "hl/c").bytes()
    o.tag("odd-hlcross", o.image([(t, GZ, gz(t)) for t in (a, b)]))
    # overlayfs's own whiteout node (character device 0,0) as an entry
    a = L().d("s").f("s/file", "f").add("s/chr00", tarfile.CHRTYPE, mode=0o600, dev=(0, 0)).bytes()
    o.tag("odd-chr00", o.image([(a, GZ, gz(a))]))
    # parents that no layer lists, entry before its parent, trailing data after the end blocks, no end blocks
    a = L().f("implicit/parents/never/listed/file", "i").f("late/file", "before its directory").d("late", mode=0o700, uid=9).bytes()
    b = L().f("x/y", "z").bytes().rstrip(b"\0"); b += bytes(-len(b) % 512)
    o.tag("odd-implicit", o.image([(t, GZ, gz(t)) for t in (a + b"junk after the end" * 100, b)]))
    g = [layer1(tarfile.GNU_FORMAT).bytes(), layer2(tarfile.GNU_FORMAT).bytes()]
    o.tag("edge-gnu", o.image([(t, GZ, gz(t)) for t in g]))
    # multi-arch index: amd64 and arm64 differ in one file
    ms = []
    for arch in ("amd64", "arm64"):
        t = L().f("arch", arch + "\n").bytes(); ms.append(o.image([(t, GZ, gz(t))], arch=arch))
    o.tag("multi", o.index(ms))


if __name__ == "__main__":
    main()
