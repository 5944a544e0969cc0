"""Photographs and results in object storage: a real S3 server, and fsspec's store in memory."""

import errno
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from PIL import Image

from enhance_cli import asking, storage
from enhance_cli.errors import EnhanceError
from enhance_cli.places import Url, place_of
from enhance_cli.upscale import batch
from enhance_cli.upscale.remote import anywhere, notes, schedule

RESULTS = ["bucket/out/a.png", "bucket/out/sub/b.png"]


@pytest.fixture(scope="module")
def server():
    """An S3 server of this machine, with credentials in the environment as usual."""
    pytest.importorskip("s3fs", reason="the extra cloud is not installed")
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    patch = pytest.MonkeyPatch()
    host, port = server.get_host_and_port()
    patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    patch.setenv("AWS_ACCESS_KEY_ID", "key")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    storage._system.cache_clear()
    yield server
    server.stop()
    patch.undo()


# Servers of Google's and Azure's interfaces must be started by hand: docs/storage.md says how.
OTHERS = [*filter(None, os.environ.get("ENHANCE_STORES", "").split(","))]


@pytest.fixture(params=["s3", "memory", *OTHERS])
def protocol(request):
    if request.param == "s3":
        request.getfixturevalue("server")
    return request.param


@pytest.fixture
def store(protocol):
    """fsspec's view of an empty bucket."""
    fsspec = pytest.importorskip("fsspec", reason="the extra cloud is not installed")
    store = fsspec.filesystem(protocol, use_listings_cache=False, skip_instance_cache=True)
    if store.exists("bucket"):
        store.rm("bucket", recursive=True)
    store.mkdir("bucket")
    notes.notes_of.cache_clear()
    return store


@pytest.fixture
def photos(store, protocol, tmp_path):
    """Two photographs, hidden files and a text in a bucket; the photographs also in a folder."""
    for name in ("a.png", "sub/b.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((20, 12), 90).save(tmp_path / "in" / name)
        store.put_file(str(tmp_path / "in" / name), f"bucket/in/{name}")
    for name in ("notes.txt", "._a.png", ".trash/c.png", "sub/.trash/d/e.png"):
        store.pipe_file(f"bucket/in/{name}", b"no photograph")
    return f"{protocol}://bucket/in"


def files_in(store, folder="bucket/out"):
    found = [each.lstrip("/") for each in store.find(folder)]
    return [each for each in found if "/.enhance/" not in each]


def test_a_bucket_is_mirrored_as_a_folder_is(upscale, store, photos, protocol, tmp_path):
    result = upscale(photos, "-o", f"{protocol}://bucket/out", "--json")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["output"] for row in rows] == [f"{protocol}://{name}" for name in RESULTS]
    assert rows[0]["input"] == f"{photos}/a.png"
    assert rows[0]["output_size"] == [80, 48]
    assert files_in(store) == RESULTS
    upscale(tmp_path / "in", "-o", tmp_path / "out")
    for name in RESULTS:
        assert store.cat_file(name) == (tmp_path / name.removeprefix("bucket/")).read_bytes()


def test_a_second_run_skips_replaces_and_keeps_as_in_a_folder(upscale, store, photos, protocol):
    output = f"{protocol}://bucket/out"
    assert upscale(photos, "-o", output).exit_code == 0
    again = upscale(photos, "-o", output)
    assert again.exit_code == 0, again.output
    assert "0 enlarged, 2 skipped as finished, 0 failed" in again.stderr
    before = store.cat_file(RESULTS[0])
    store.pipe_file(RESULTS[1], b"edited by somebody")
    other = upscale(photos, "-o", output, "--scale", 2)
    assert other.exit_code == 1
    assert f"enhance: {protocol}://{RESULTS[1]} exists; use --overwrite" in other.stderr
    assert store.cat_file(RESULTS[0]) != before
    assert store.cat_file(RESULTS[1]) == b"edited by somebody"
    assert upscale(photos, "-o", output, "--overwrite").exit_code == 0
    assert store.cat_file(RESULTS[0]) == before


def test_a_photograph_that_changed_is_enlarged_again(upscale, store, photos, protocol, tmp_path):
    output = f"{protocol}://bucket/out"
    assert upscale(photos, "-o", output).exit_code == 0
    Image.effect_noise((24, 12), 90).save(tmp_path / "other.png")
    store.put_file(str(tmp_path / "other.png"), "bucket/in/a.png")
    again = upscale(photos, "-o", output)
    assert "1 enlarged, 1 skipped as finished, 0 failed" in again.stderr


def test_buckets_and_folders_mix(upscale, store, photos, protocol, tmp_path):
    down, up = tmp_path / "down", f"{protocol}://bucket/out"
    assert upscale(photos, "-o", down).exit_code == 0
    assert upscale(tmp_path / "in", "-o", up).exit_code == 0
    for name in ("a.png", "sub/b.png"):
        assert (down / name).read_bytes() == store.cat_file(f"bucket/out/{name}")
    assert "2 skipped as finished" in upscale(photos, "-o", down).stderr
    assert "2 skipped as finished" in upscale(tmp_path / "in", "-o", up).stderr


def test_one_photograph_goes_to_the_key_that_is_given(upscale, upscale_fails, store, photos):
    target = photos.replace("/in", "/one.webp")
    result = upscale(f"{photos}/a.png", "-o", target)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{target}\n"
    assert store.exists("bucket/one.webp")
    line = upscale_fails(f"{photos}/a.png", "-o", target)
    assert line == f"{target} exists; use --overwrite to replace it"
    assert upscale_fails(f"{photos}/none.png", "-o", target) == f"no such object: {photos}/none.png"


def test_two_photographs_of_one_name_keep_both(upscale, store, photos, protocol, tmp_path):
    Image.effect_noise((20, 12), 90).convert("RGB").save(tmp_path / "a.jpg")
    store.put_file(str(tmp_path / "a.jpg"), "bucket/in/a.jpg")
    arguments = (photos, "-o", f"{protocol}://bucket/out", "--format", "webp")
    assert upscale(*arguments).exit_code == 0
    names = ["bucket/out/a.png.webp", "bucket/out/a.webp", "bucket/out/sub/b.webp"]
    assert files_in(store) == names
    assert "3 skipped as finished" in upscale(*arguments).stderr


def test_what_is_no_image_is_named_by_its_address(upscale, store, photos, protocol):
    store.pipe_file("bucket/in/c.png", b"broken")
    result = upscale(photos, "-o", f"{protocol}://bucket/out")
    assert result.exit_code == 1
    assert f"enhance: {photos}/c.png is not an image: no known format" in result.stderr
    assert files_in(store) == RESULTS


def test_results_below_the_input_are_no_inputs(upscale, photos):
    assert upscale(photos, "-o", f"{photos}/large").exit_code == 0
    again = upscale(photos, "-o", f"{photos}/large")
    assert "0 enlarged, 2 skipped as finished, 0 failed" in again.stderr


def test_an_object_that_appears_meanwhile_stays(store, protocol, tmp_path):
    (tmp_path / "new.png").write_bytes(b"new")
    url = Url(protocol, "bucket/out/a.png")
    store.pipe_file(url.path, b"old")
    old = storage.find(url)
    store.pipe_file(url.path, b"foreign")
    for replaces in (None, old):
        with pytest.raises(storage.EnhanceError, match=r"a\.png exists$"):
            storage.publish(tmp_path / "new.png", url, replaces=replaces, may_replace=False)
    assert store.cat_file(url.path) == b"foreign"
    now = storage.find(url)
    storage.publish(tmp_path / "new.png", url, replaces=now, may_replace=False)
    assert store.cat_file(url.path) == b"new"


@pytest.mark.parametrize("protocol", ["s3", *OTHERS], indirect=True)
def test_the_store_itself_refuses_to_replace(store, protocol, tmp_path, monkeypatch):
    """Also if another program writes between the last look and the upload."""
    (tmp_path / "new.png").write_bytes(b"new")
    url = Url(protocol, "bucket/out/a.png")
    store.pipe_file(url.path, b"old")
    old = storage.find(url)
    store.pipe_file(url.path, b"foreign")
    real = storage.find
    for before in (None, old) if protocol != "gs" else (None,):  # gcsfs has the first alone
        looks = iter([before])
        monkeypatch.setattr(storage, "find", lambda of, it=looks: next(it, real(of)))
        with pytest.raises(storage.EnhanceError, match=r"a\.png exists$"):
            storage.publish(tmp_path / "new.png", url, replaces=before, may_replace=False)
        monkeypatch.undo()
    assert store.cat_file(url.path) == b"foreign"


@pytest.mark.parametrize("protocol", ["s3"], indirect=True)
def test_an_upload_in_parts_that_breaks_off_leaves_nothing(store, protocol, tmp_path, monkeypatch):
    import s3fs

    file, url = tmp_path / "large.png", Url(protocol, "bucket/out/large.png")
    file.write_bytes(os.urandom(11 << 20))
    monkeypatch.setattr(s3fs.core, "calculate_chunksize", lambda *_, **__: 5 << 20)
    monkeypatch.setattr(asking, "_PATIENCE", 0)
    real = s3fs.S3FileSystem._call_s3

    async def call(self, method, *arguments, **options):
        if method == "complete_multipart_upload" and is_broken:
            raise OSError(5, "the line is cut")
        return await real(self, method, *arguments, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", call)
    is_broken = True
    with pytest.raises(storage.EnhanceError, match="the line is cut"):
        storage.publish(file, url, may_replace=False)
    assert not store.exists(url.path)
    assert store.call_s3("list_multipart_uploads", Bucket="bucket").get("Uploads", []) == []
    is_broken = False
    storage.publish(file, url, may_replace=False)
    assert store.cat_file(url.path) == file.read_bytes()


@pytest.mark.parametrize("protocol", ["s3"], indirect=True)
def test_more_keys_than_a_page_are_listed(store, protocol, monkeypatch):
    for number in range(5):
        store.pipe_file(f"bucket/in/{number}.png", b"x")
    real = store.call_s3
    pages = []

    def call(method, **options):
        pages.append(options.get("StartAfter"))
        return real(method, **options, MaxKeys=2)

    monkeypatch.setattr(storage._system(protocol), "call_s3", call, raising=False)
    found = [name for name, _ in storage.walk(Url(protocol, "bucket/in"))]
    assert found == [f"{number}.png" for number in range(5)]
    assert pages[:3] == ["in/", "in/1.png", "in/3.png"]


def test_a_store_that_refuses_for_a_while_is_asked_again(store, protocol, monkeypatch, caplog):
    url, system = Url(protocol, "bucket/a"), storage._system(protocol)
    real, refusals, pauses = system.pipe_file, [5, 5, 16], []
    monkeypatch.setattr(asking.time, "sleep", pauses.append)

    def pipe_file(*arguments):
        if refusals:
            raise OSError(refusals.pop(), "Reduce your request rate")
        real(*arguments)

    monkeypatch.setattr(system, "pipe_file", pipe_file, raising=False)
    storage.put(url, b"data")
    assert store.cat_file("bucket/a") == b"data"
    assert pauses == [0.5, 1, 2]
    assert "does not answer (Reduce your request rate): asking again" in caplog.text


@pytest.fixture
def restricted(store, monkeypatch):
    """Let S3 ask who writes: a user who may read all, but write only below some addresses."""
    import boto3
    import requests

    def restrict(*writable):
        iam = boto3.client("iam", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
        user = f"user-{len(writable)}"
        iam.create_user(UserName=user)
        rules = [
            ("s3:Get*", "*"),
            ("s3:List*", "*"),
            ("s3:*Object", [*writable, "arn:aws:s3:::none/*"]),
        ]
        rules = [{"Effect": "Allow", "Action": what, "Resource": on} for what, on in rules]
        policy = json.dumps({"Version": "2012-10-17", "Statement": rules})
        iam.put_user_policy(UserName=user, PolicyName="some", PolicyDocument=policy)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        storage._system.cache_clear()
        type(store).clear_instance_cache()
        ask("0")

    def ask(after):
        url = f"{os.environ['AWS_ENDPOINT_URL']}/moto-api/reset-auth"
        assert requests.post(url, data=after, timeout=10).ok

    yield restrict
    ask("Infinity")
    storage._system.cache_clear()
    type(store).clear_instance_cache()


@pytest.mark.parametrize("protocol", ["s3"], indirect=True)
def test_a_bucket_without_permission_is_found_before_work(upscale_fails, photos, restricted):
    restricted()
    line = upscale_fails(photos, "-o", "s3://bucket/out")
    assert line.startswith("cannot write s3://bucket/out/.enhance/probe-")
    assert "Access Denied" in line or "Forbidden" in line


@pytest.mark.parametrize("protocol", ["s3"], indirect=True)
def test_a_key_without_permission_is_named_and_the_rest_goes_on(upscale, photos, restricted):
    bucket = "arn:aws:s3:::bucket/out"
    restricted(f"{bucket}/.enhance/*", f"{bucket}/sub/*")
    result = upscale(photos, "-o", "s3://bucket/out")
    assert result.exit_code == 1
    assert "enhance: cannot write s3://bucket/out/a.png: " in result.stderr
    assert "1 enlarged, 1 failed" in result.stderr
    assert result.stdout == "s3://bucket/out/sub/b.png\n"


@pytest.mark.parametrize("protocol", ["s3"], indirect=True)
def test_a_bucket_that_is_not_there_is_one_line(upscale_fails, photos):
    line = upscale_fails(photos, "-o", "s3://none/out")
    assert line.startswith("cannot write s3://none/out/.enhance/probe-")
    assert line.endswith("The specified bucket does not exist")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("nope://bucket", "nope:// is no storage that fsspec knows"),
        ("s3://key:secret@bucket/a.png", "s3:// with a password or a chain: "),
        ("simplecache::s3://bucket", "simplecache"),
        ("s3:///", "s3:/// names no bucket: give s3://bucket/key"),
        ("github://a/b.png", "github:// is no object storage: "),
    ],
)
def test_addresses_that_cannot_be_used_are_one_line(enhance, text, line):
    result = enhance("upscale", text, "-o", "out.png")
    assert result.exit_code in (1, 2)
    assert line in result.stderr


def test_hugging_face_is_asked_for_what_is_there_now(monkeypatch):
    """Its file system would answer from a listing that it has kept."""
    asked = []

    def info(path, expand_info):
        asked.append((path, expand_info))
        return {"type": "file", "size": 3, "blob_id": "abc"}

    system = SimpleNamespace(invalidate_cache=asked.append, info=info)
    monkeypatch.setattr(storage, "_system", lambda _: system)
    path = "datasets/user/photos/a.png"
    assert storage.find(Url("hf", path)) == storage.Found(3, "abc")
    assert asked == [path, (path, True)]


class _RefusalError(Exception):
    """As the packages of stores raise them: with a status, or with the answer that has it."""

    def __init__(self, text, **others):
        super().__init__(text)
        vars(self).update(others)


@pytest.mark.parametrize(
    ("error", "tries", "line"),
    [
        (_RefusalError("busy", code=503), 2, "cannot read gs://b/a: busy"),
        (_RefusalError("no", code=403), 1, "cannot read gs://b/a: no"),
        (_RefusalError("no\nRequestId:1\n<xml>", status_code=409), 1, "cannot read gs://b/a: no"),
        (
            _RefusalError("no", response=SimpleNamespace(status_code=403)),
            1,
            "cannot read gs://b/a: no",
        ),
        (FileNotFoundError("https://a/b/o"), 1, "cannot read gs://b/a: there is no such bucket or"),
        (ValueError("no repository"), 1, "cannot read gs://b/a: no repository"),
    ],
)
def test_a_refusal_is_asked_again_only_if_it_may_pass(monkeypatch, error, tries, line):
    monkeypatch.setattr(asking, "failures", lambda: (_RefusalError, OSError, ValueError))
    monkeypatch.setattr(asking, "_PATIENCE", 2)
    times, asked = iter([0, 0, 1.4]), []
    monkeypatch.setattr(asking.time, "monotonic", lambda: next(times))
    monkeypatch.setattr(asking.time, "sleep", lambda _: None)

    def ask():
        asked.append(1)
        raise error

    with pytest.raises(storage.EnhanceError) as failed:
        asking.asking(Url("gs", "b/a"), "read", ask)
    assert str(failed.value).startswith(line)
    assert len(asked) == tries


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    storage._system.cache_clear()
    with pytest.raises(storage.EnhanceError, match=r"^s3:// cannot .*enhance-cli\[cloud\]"):
        storage.find(Url("s3", "bucket/a"))
    with pytest.raises(storage.EnhanceError, match=r"^gs:// cannot .* pip install gcsfs$"):
        storage.find(Url("gs", "bucket/a"))
    storage._system.cache_clear()


def test_file_addresses_are_paths(upscale, tmp_path, photo):
    result = upscale(f"file://{photo}", "-o", tmp_path / "out.png")
    assert result.exit_code == 0, result.output
    assert str(place_of("file:///a%20b.png")) == "/a b.png"


def test_streams_and_dates_are_not_for_object_storage(upscale):
    for arguments in (("-", "-o", "s3://b/a.png"), ("s3://b/a.png", "-o", "-")):
        assert "do not go together" in upscale(*arguments).stderr
    dated = upscale("s3://b/a.png", "-o", "a.png", "--preserve-time")
    assert dated.exit_code == 2
    assert "--preserve-time is for files: object storage sets times itself." in dated.stderr


@pytest.mark.skipif(not os.environ.get("ENHANCE_SLOW"), reason="ENHANCE_SLOW=1 waits for a server")
@pytest.mark.parametrize("protocol", ["s3"], indirect=True)
def test_a_server_that_is_away_for_half_a_minute_costs_nothing(upscale, store, photos, server):
    from threading import Timer

    _, port = server.get_host_and_port()
    server._server.server_close()
    server.stop()
    server._port = port
    Timer(30, server.start).start()
    result = upscale(photos, "-o", "s3://bucket/out")
    assert result.exit_code == 0, result.output
    assert "s3:// does not answer" in result.stderr
    assert files_in(store) == RESULTS


@pytest.mark.skipif(not os.environ.get("ENHANCE_SLOW"), reason="ENHANCE_SLOW=1 starts processes")
@pytest.mark.parametrize("protocol", ["s3"], indirect=True)
def test_several_processes_write_to_a_bucket(photos, store, model):
    command = [sys.executable, "-m", "enhance_cli", "upscale", photos, "-o", "s3://bucket/out"]
    command += ["--model", str(model), "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "one of 2 processes" in done.stderr
    assert files_in(store) == RESULTS
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "0 enlarged, 2 skipped as finished, 0 failed" in again.stderr


def test_an_edited_result_of_a_worker_stays_though_its_size_is_the_same(
    upscale, store, photos, protocol, monkeypatch
):
    def enlarge(job, engine, options, _):
        return anywhere.enlarge_for_another(job, engine, options)

    monkeypatch.setattr(batch, "enlarge_anywhere", enlarge)
    output = f"{protocol}://bucket/out"
    with monkeypatch.context() as parent:  # has noted nothing itself
        parent.setattr(schedule, "notes_of", lambda _: SimpleNamespace(flush=lambda: None))
        assert upscale(photos, "-o", output).exit_code == 0
    edited = store.cat_file(RESULTS[1])[:-1] + b"x"
    store.pipe_file(RESULTS[1], edited)
    assert f"{RESULTS[1]} exists; use --overwrite" in upscale(photos, "-o", output).stderr


def test_an_address_that_can_only_be_read_is_no_output(fails, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    line = fails("upscale", tmp_path / "a.png", "-o", "https://example.org/b.png")
    assert line == "https:// cannot be written: choose another output"


def test_a_result_never_replaces_its_photograph(upscale_fails, store, photos):
    before = store.cat_file("bucket/in/a.png")
    line = upscale_fails(f"{photos}/a.png", "-o", f"{photos}/", "--overwrite")
    assert f"{photos}/a.png is both input and output" in line
    assert store.cat_file("bucket/in/a.png") == before


def test_a_photograph_of_the_same_name_from_another_prefix_replaces_no_result(
    upscale, store, photos, protocol
):
    output = f"{protocol}://bucket/out"
    assert upscale(photos, "-o", output).exit_code == 0
    before = store.cat_file("bucket/out/a.png")
    store.copy("bucket/in/sub/b.png", "bucket/other/a.png")
    assert upscale(f"{protocol}://bucket/other", "-o", output).exit_code == 0
    assert files_in(store) == ["bucket/out/a.png", "bucket/out/a.png.png", RESULTS[1]]
    assert store.cat_file("bucket/out/a.png") == before
    assert "1 skipped" in upscale(f"{protocol}://bucket/other", "-o", output).stderr


@pytest.mark.parametrize("key", ["/b.png", "../b.png", "sub//b.png"])
def test_a_key_that_is_no_path_below_a_folder_fails_alone(
    upscale, photos, tmp_path, monkeypatch, key
):
    [listed, *_] = storage.walk(place_of(photos))
    monkeypatch.setattr(schedule, "walk", lambda _: [listed, (key, listed[1])])
    result = upscale(photos, "-o", tmp_path / "out")
    assert f"{key} cannot be the path of a file in {tmp_path / 'out'}" in result.stderr
    assert "1 enlarged, 1 failed" in result.stderr
    assert [each.name for each in (tmp_path / "out").rglob("*.png")] == ["a.png"]


@pytest.mark.usefixtures("store")
def test_what_cannot_be_read_here_fails_alone(upscale, tmp_path, protocol, monkeypatch):
    (tmp_path / "in/sub").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "in/a.png")
    os.mkfifo(tmp_path / "in/pipe.png")
    error = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "in/sub"))

    def scandir(path):
        if str(path).endswith("/sub"):
            raise error
        return os_scandir(path)

    os_scandir = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    result = upscale(tmp_path / "in", "-o", f"{protocol}://bucket/out")
    assert f"enhance: cannot read {tmp_path / 'in/sub'}: Permission denied" in result.stderr
    assert "pipe.png is not a regular file" in result.stderr
    assert "1 enlarged, 2 failed" in result.stderr


@pytest.mark.parametrize("text", ["file://", "file://localhost"])
def test_a_file_address_without_a_file_is_one_line(text):
    with pytest.raises(EnhanceError, match=r"names no file: give file:///folder/file"):
        place_of(text)
    assert str(place_of("file://localhost/a.png")) == "/a.png"
