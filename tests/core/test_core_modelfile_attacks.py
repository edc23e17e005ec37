"""Each attack on the reader of a model file ends in its own one-line message, and nothing is executed or allocated."""

import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from glia.core.errors import ModelFileError
from glia.core.files import sha256
from glia.core.modelfile import read_archive, write_archive
from glia.core.modeltensors import dump

WHOLE = "a model file must be a whole, unaltered Glia archive"
AGAIN = "copy or save the model again"
UNSAFE = "use only model files written by Glia, from a source you trust"
PICKLE = "a pickle can run code when it is loaded, so Glia never loads one: save the model with glia.save"
GIVE = "give a file made by glia.save"
WEIGHTS = dump({"w": np.arange(6, dtype=np.float32)})


def refused(path, **options):
    with pytest.raises(ModelFileError) as caught:
        read_archive(path, **options)
    message = str(caught.value)
    assert "\n" not in message and caught.value.do
    return message


def entry(name, *, mode=0o100644, system=3):
    made = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    made.external_attr, made.create_system = mode << 16, system
    return made


def archive(path, members=None, *, manifest=None, extra=(), method=zipfile.ZIP_STORED):
    """Write a zip as an attacker would: any member, any manifest, hashes that match unless overridden."""
    members = {"schema.json": b"{}", "weights.safetensors": WEIGHTS} if members is None else members
    declared = {name: {"sha256": sha256(data), "size": len(data)} for name, data in members.items()}
    full = {
        "format": "glia-model",
        "format_version": 1,
        "glia_version": "0.1.0",
        "members": declared,
        **(manifest or {}),
    }
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr(entry("manifest.json"), json.dumps(full), method)
        for name, data in [*((entry(n), d) for n, d in members.items()), *extra]:
            file.writestr(name, data, method)
    return path


def say(path, got, do=AGAIN):
    return f"{WHOLE} · got {str(path)!r}: {got} · {do}"


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.glia"
    write_archive(path, {}, {"w": np.arange(6, dtype=np.float32)}, parts={"schema.json": {"a": 1}})
    return path


def test_the_attackers_tool_itself_writes_files_that_load(tmp_path):
    """The negative control: without its attack, each archive below would be read."""
    np.testing.assert_array_equal(read_archive(archive(tmp_path / "a.glia")).tensors["w"], np.arange(6))


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_refused_and_not_run(tmp_path, protocol):
    path, trace = tmp_path / "m.glia", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Bomb(str(trace)), protocol))
    assert refused(path) == say(path, "a pickle", PICKLE)
    assert not trace.exists()
    pickle.loads(path.read_bytes()).close()
    assert trace.exists()  # it was a live one


@pytest.mark.parametrize("protocol", [0, 1])
def test_old_pickles_are_refused_and_not_run(tmp_path, protocol):
    path, trace = tmp_path / "m.glia", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Bomb(str(trace)), protocol))
    assert refused(path) == say(path, "a file that is not a Glia archive", GIVE)
    assert not trace.exists()


def test_a_torch_archive_is_refused_and_not_run(tmp_path):
    path, trace = tmp_path / "m.glia", tmp_path / "trace"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(Bomb(str(trace))))
        file.writestr("archive/version", b"3\n")
    assert refused(path) == say(path, "an archive with a pickle inside, as torch.save writes it", PICKLE)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"", "an empty file"),
        (b"P", "a file that is not a Glia archive"),
        (b"\x1f\x8b\x08\x00" * 20, "a file that is not a Glia archive"),
        (b"a,b\n1,2\n", "a file that is not a Glia archive"),
        (b"PK\x05\x06" + bytes(18), "a file that is not a Glia archive"),
    ],
)
def test_other_files_are_refused(tmp_path, content, got):
    path = tmp_path / "m.glia"
    path.write_bytes(content)
    assert refused(path) == say(path, got, GIVE)


@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("/etc/passwd.json", "a member name that is an absolute path, '/etc/passwd.json'"),
        ("C:evil.json", "a member name that is an absolute path, 'C:evil.json'"),
        ("../evil.json", "a member name that leaves its folder, '../evil.json'"),
        ("a/../../evil.json", "a member name that leaves its folder, 'a/../../evil.json'"),
        ("..\\evil.json", r"a member name with a backslash, '..\\evil.json'"),
        ("code.py", "an unexpected member, 'code.py'"),
        ("sub/part.json", "an unexpected member, 'sub/part.json'"),
        ("part.json", "an unexpected member, 'part.json'"),
        ("evil\n.json", r"an unexpected member, 'evil\n.json'"),
        ("é.json", "an unexpected member, 'é.json'"),
    ],
)
def test_members_with_other_names_are_refused(tmp_path, name, got):
    path = archive(tmp_path / "m.glia", extra=[(entry(name), b"{}")])
    assert refused(path) == say(path, got, UNSAFE)


def test_a_symbolic_link_is_refused(tmp_path):
    path = archive(tmp_path / "m.glia", extra=[(entry("link.json", mode=0o120777), b"/etc/passwd")])
    assert refused(path) == say(path, "a member that is a symbolic link, 'link.json'", UNSAFE)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path):
    path = archive(tmp_path / "m.glia", extra=[(entry("schema.json"), b'{"other": 1}')])
    assert refused(path) == say(path, "two members of one name, 'schema.json'", UNSAFE)


def test_an_encrypted_member_is_refused(tmp_path, good):
    data = bytearray(good.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    good.write_bytes(data)
    assert refused(good) == say(good, "an encrypted member, 'manifest.json'", UNSAFE)


def test_a_zip_bomb_is_refused_before_memory_is_taken(tmp_path):
    path = tmp_path / "m.glia"
    archive(path, extra=[(entry("bomb.json"), bytes(200 << 20))], method=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    assert "a compressed member, 'manifest.json'" in refused(path)
    small_memory(path, "a compressed member")


def small_memory(path, expected):
    """Read in a process that may take little more than Python with NumPy does."""
    code = (
        "import tracemalloc, sys; from glia.core.modelfile import read_archive; tracemalloc.start()\n"
        "try: read_archive(sys.argv[1])\n"
        "except ValueError as error: print(tracemalloc.get_traced_memory()[1], error)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    peak, _, message = run.stdout.partition(" ")
    assert expected in message
    assert int(peak) < 4 << 20


@pytest.mark.parametrize("declared", [1 << 31, 0xFFFFFFFE, 0xFFFFFFFF])
def test_a_lie_about_the_size_takes_no_memory(good, declared):
    data = bytearray(good.read_bytes())
    where = data.rindex(b"PK\x01\x02")  # the weights, last in the directory
    data[where + 20 : where + 28] = struct.pack("<2L", declared, declared)
    good.write_bytes(data)
    small_memory(good, WHOLE)


def test_members_must_not_overlap(tmp_path, good):
    data = bytearray(good.read_bytes())
    where = data.rindex(b"PK\x01\x02")
    data[where + 42 : where + 46] = struct.pack("<L", 0)
    good.write_bytes(data)
    assert refused(good) == say(
        good, "the member 'weights.safetensors' is truncated, overlaps another one or leaves a gap"
    )


def test_too_many_members_are_refused(tmp_path):
    extra = [(entry(f"part{i}.json"), b"{}") for i in range(62)]
    path = archive(tmp_path / "m.glia", extra=extra)
    assert refused(path) == say(path, "65 members, more than 64", UNSAFE)


@pytest.mark.parametrize("where", ["front", "back", "gap"])
def test_bytes_that_belong_to_nobody_are_refused(good, where):
    data = good.read_bytes()
    start = data.index(b"PK\x01\x02")
    if where == "gap":  # before the directory, whose place is then corrected
        end = bytearray(data[-22:])
        end[16:20] = struct.pack("<L", start + 4)
        data = data[:start] + b"evil" + data[start:-22] + bytes(end)
    good.write_bytes({"front": b"evil" + data, "back": data + b"evil", "gap": data}[where])
    got, do = {
        "front": ("a file that is not a Glia archive", GIVE),
        "back": ("it is truncated, or something was appended to it", AGAIN),
        "gap": ("bytes that belong to no member", UNSAFE),
    }[where]
    assert refused(good) == say(good, got, do)


def test_a_wrong_hash_is_refused(tmp_path):
    members = {"schema.json": b"{}", "weights.safetensors": WEIGHTS}
    declared = {name: {"sha256": sha256(data + b"x"), "size": len(data)} for name, data in members.items()}
    path = archive(tmp_path / "m.glia", members, manifest={"members": declared})
    assert refused(path) == say(path, "the hash of the member 'schema.json' does not match: it was altered or damaged")


def test_an_altered_member_is_refused(good):
    data = bytearray(good.read_bytes())
    data[data.index(b"PK\x01\x02") - 1] ^= 1  # the last byte of the weights
    good.write_bytes(data)
    assert refused(good) == say(good, "the checksum of the member 'weights.safetensors' does not match")


@pytest.mark.parametrize(
    ("manifest", "got", "do"),
    [
        ({"format": "onnx"}, "a manifest of another format", GIVE),
        ({"members": []}, "a manifest without a list of members", AGAIN),
        ({"members": {"weights.safetensors": 3}}, "no hash of the member 'weights.safetensors'", AGAIN),
        ({"members": {"weights.safetensors": {"sha256": "0" * 64, "size": 1}}}, "the size of the member", AGAIN),
        ({"members": {"weights.safetensors": {"sha256": sha256(WEIGHTS), "size": len(WEIGHTS)}}}, "unexpected", UNSAFE),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(tmp_path, manifest, got, do):
    path = archive(tmp_path / "m.glia", manifest=manifest)
    message = refused(path)
    assert message.startswith(WHOLE) and got in message and message.endswith(do)


@pytest.mark.parametrize(("number", "shown"), [(2, "2"), (0, "0"), ("1", "1"), (None, "None"), (True, "True")])
def test_another_format_version_is_refused(tmp_path, number, shown):
    path = archive(tmp_path / "m.glia", manifest={"format_version": number, "glia_version": "9.0"})
    assert refused(path) == (
        f"a model file must have format version 1 · got {str(path)!r}: format version {shown} (written by glia 9.0) · "
        "upgrade glia-nn, or save the model again with this version"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[" * 200_000 + b"]" * 200_000, "more than 64 levels"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "more than 64 levels"),
        (b'{"a": 1, "a": 2}', "a key that occurs twice"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number of more than 19 digits"),
        (b'{"a": NaN}', "a number that is not finite (NaN)"),
        (b'{"a": -Infinity}', "a number that is not finite (-Infinity)"),
        (b'{"a": 1e999}', "a number that is not finite"),
        (b"[1]", "JSON that is not an object"),
        (b'{"a": ', "text that is not JSON"),
        (b'{"a": "\xff"}', "text that is not UTF-8"),
        (b'{"a": "\\ud800"}', "text with half a character"),
        (b'{"a": [' + b"[]," * 3_000_000 + b"1]}", "too many values"),
    ],
)
def test_json_that_attacks_its_parser_is_refused(tmp_path, text, reason):
    path = archive(tmp_path / "m.glia", {"schema.json": text, "weights.safetensors": WEIGHTS})
    assert refused(path) == say(path, f"the member 'schema.json' holds {reason}")


def tensors(header, body=b"", *, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def one(dtype="F32", shape=(1,), offsets=(0, 4), **more):
    return {"w": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no header"),
        (tensors({}, length=1 << 40), "a header of 1099511627776 declared bytes"),
        (tensors({}, b"x"), "tensors of 0 bytes in 1 bytes"),
        (tensors(one("F31"), bytes(4)), "the tensor 'w' of an unknown type, 'F31'"),
        (tensors(one(["F32"]), bytes(4)), "the tensor 'w' of an unknown type, \"['F32']\""),
        (tensors(one(more=1), bytes(4)), "the tensor 'w' without type, shape or place"),
        (tensors({"w": 3}), "the tensor 'w' without type, shape or place"),
        (tensors(one(shape=(-1,)), bytes(4)), "the tensor 'w' with a broken shape or place"),
        (tensors(one(shape=(True,)), bytes(4)), "the tensor 'w' with a broken shape or place"),
        (tensors(one(shape=(1,) * 33), bytes(4)), "the tensor 'w' with a broken shape or place"),
        (tensors(one(offsets=(0, 4, 8)), bytes(4)), "the tensor 'w' with a broken shape or place"),
        (tensors(one(shape=(2,)), bytes(4)), "the tensor 'w' of shape [2] in 4 bytes"),
        (tensors(one(shape=(1 << 40,)), bytes(4)), "the tensor 'w' of shape [1099511627776] in 4 bytes"),
        (tensors(one(shape=(0, 1 << 62), offsets=(0, 0))), "the tensor 'w' with an absurd shape"),
        (tensors(one(offsets=(4, 8)), bytes(8)), "the tensor 'w' overlapping another one or leaving a gap"),
        (tensors({**one(), "v": one()["w"]}, bytes(4)), "the tensor 'v' overlapping another one or leaving a gap"),
        (tensors(one(), bytes(3)), "tensors of 4 bytes in 3 bytes"),
        (tensors(one("BOOL", (1,), (0, 1)), b"\x02"), "the tensor 'w' with truth values other than 0 and 1"),
        (tensors(b'{"w": 1, "w": 2}'), "a key that occurs twice"),
    ],
)
def test_safetensors_that_lie_are_refused(tmp_path, content, reason):
    path = archive(tmp_path / "m.glia", {"weights.safetensors": content})
    assert refused(path) == say(path, f"the member 'weights.safetensors' holds {reason}")


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device", "under a file"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, good, kind):
    path = tmp_path / "m.glia"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "under a file":
        path = good / "m.glia"
    reason = {
        "missing": "No such file or directory",
        "under a file": "Not a directory",
        "folder": "a folder",
        "pipe": "not a regular file",
        "device": "not a regular file",
    }[kind]
    must, do = "a model must be a regular file", "give the path of a .glia file"
    if kind in ("missing", "under a file"):
        must, do = "a model file must be there and readable", "check the path"
    assert refused(path) == f"{must} · got {str(path)!r}: {reason} · {do}"


def test_a_path_that_the_system_refuses_is_one_message(tmp_path):
    assert "embedded null byte" in refused("model\0.glia")
    assert "File name too long" in refused("m" * 5000)


def test_a_file_above_the_limit_is_refused(good):
    size = good.stat().st_size
    assert refused(good, max_bytes=size - 1) == (
        f"a model file must not be larger than {size - 1} bytes · got {str(good)!r}: {size} bytes · "
        "pass a larger max_bytes if you trust it"
    )
    assert read_archive(good, max_bytes=size).parts == {"schema.json": {"a": 1}}


def test_a_huge_sparse_file_is_refused(tmp_path):
    path = tmp_path / "m.glia"
    with path.open("wb") as file:
        file.truncate(20 << 30)
    assert "must not be larger than 17179869184 bytes" in refused(path)


def test_the_symlinked_model_itself_may_be_read(tmp_path, good):
    link = tmp_path / "latest.glia"
    link.symlink_to(good)
    assert read_archive(link).manifest["format"] == "glia-model"


def test_no_descriptor_is_left_open(tmp_path, good):
    count = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    for path in (good, tmp_path / "missing", tmp_path):
        try:
            read_archive(path)
        except ModelFileError:
            continue
    if count is not None:
        assert len(os.listdir("/proc/self/fd")) == count
