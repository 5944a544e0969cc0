import json
import pickle
import struct
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from enhance_cli.errors import EnhanceError
from enhance_cli.model.state import read_network

WANTED = "expected the weights of a network, as .pth or .safetensors"
STATE = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.zeros(2)}


class Module(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x)


def refusal(path):
    with pytest.raises(EnhanceError) as caught:
        read_network(path)
    return str(caught.value).replace(str(path), "FILE")


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"params": {}, "params_ema": state},
        lambda state: {"params": state},
        lambda state: {"state_dict": {f"module.{name}": v for name, v in state.items()}},
        lambda state: {f"netG.{name}": v for name, v in state.items()},
        lambda state: {f"netG.module.{name}": v for name, v in state.items()},
        lambda state: {f"module._orig_mod.{name}": v for name, v in state.items()},
        lambda state: {"params": {f"_orig_mod.{name}": v for name, v in state.items()}},
        lambda state: (
            {"n_averaged": torch.tensor(5)} | {f"module.{name}": v for name, v in state.items()}
        ),
        lambda state: {"generator": state},
        lambda state: {"params": state, "iter": 500_000, "seed": 1_234_567_890},
        lambda state: {"epoch": 3, "net_g": {"params": state}},
        lambda state: {"epoch": 3, "optimizer": {"state": {}}, "model": state},
    ],
)
def test_the_tensors_are_found_in_every_wrapper(tmp_path, wrap, is_new):
    path = tmp_path / "w.pth"
    torch.save(wrap(STATE), path, _use_new_zipfile_serialization=is_new)
    found = read_network(path)
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)


def test_safetensors_are_read_under_any_name(tmp_path):
    save_file(STATE, tmp_path / "w.pth")
    assert read_network(tmp_path / "w.pth").keys() == STATE.keys()


def test_a_pickle_that_is_called_safetensors_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    torch.save(STATE, path)
    assert refusal(path) == "FILE is PyTorch's, not safetensors: rename it to w.pth"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", f"FILE is empty: {WANTED}"),
        (b"<!DOCTYPE html><html>", f"FILE is a web page, not the file it links to: {WANTED}"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            f"FILE is a pointer of Git LFS, not the file it stands for: {WANTED}",
        ),
        (b"\x89PNG\r\n\x1a\n", f"FILE is neither PyTorch's nor safetensors: {WANTED}"),
        (b"\x80\x02}q\x00", "FILE is damaged or not a file of weights"),
    ],
)
def test_what_holds_no_weights_is_named(tmp_path, content, said):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    assert refusal(path) == said


def test_a_missing_file_is_one_line(tmp_path):
    assert refusal(tmp_path / "w.pth") == "cannot read FILE: No such file or directory"


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_truncated_file_is_one_line(tmp_path, is_new, share):
    path = tmp_path / "w.pth"
    state = {"a": torch.rand(1000), "b": torch.rand(1000)}
    torch.save(state, path, _use_new_zipfile_serialization=is_new)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert refusal(path) in (
        "FILE is damaged, perhaps not downloaded to its end",
        "FILE is damaged or not a file of weights",
    )


def test_a_program_is_refused(tmp_path):
    path = tmp_path / "w.pt"
    path.write_bytes(b"")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", b"")
        archive.writestr("w/code/__torch__.py", b"")
    said = f"FILE is a TorchScript program, which enhance does not run: {WANTED}"
    assert refusal(path) == said


def test_another_archive_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", b"")
    assert refusal(path) == f"FILE is a zip archive of something else: {WANTED}"


def test_a_whole_module_is_refused_by_its_class(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(Module(), path)
    said = refusal(path)
    assert said.startswith("FILE holds Python objects (")
    assert said.endswith(f".Module), which could run any program: {WANTED}")


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("is_new", [True, False])
def test_a_program_in_a_pickle_does_not_run(tmp_path, capsys, is_new):
    path = tmp_path / "w.pth"
    torch.save({"a": Evil()}, path, _use_new_zipfile_serialization=is_new)
    said = f"FILE holds Python objects (print), which could run any program: {WANTED}"
    assert refusal(path) == said
    assert capsys.readouterr().out == ""


def test_a_lora_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"unet.lora_up.weight": torch.zeros(2), "unet.alpha": torch.zeros(1)}, path)
    assert refusal(path) == f"FILE is a LoRA, changes to some other network: {WANTED}"


def test_the_state_of_an_optimizer_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    module = Module()
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.zeros(1, 2)).sum().backward()
    optimizer.step()
    said = f"FILE is the state of an optimizer: {WANTED}"
    for held in (optimizer.state_dict(), {"epoch": 1, "optimizers": [optimizer.state_dict()]}):
        torch.save(held, path)
        assert refusal(path) == said


def test_anything_else_is_described(tmp_path):
    path = tmp_path / "w.pth"
    torch.save([torch.zeros(1)], path)
    assert refusal(path) == f"FILE holds list: {WANTED}"
    torch.save({"a": torch.zeros(1), "b": 3}, path)
    assert refusal(path) == f"FILE holds 'b', which is no tensor: {WANTED}"
    torch.save({}, path)
    assert refusal(path) == f"FILE holds nothing: {WANTED}"


def test_values_that_are_not_finite_are_refused(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.tensor([1.0, float("nan")])}, path)
    assert refusal(path) == "FILE is damaged: a has values that are not finite"


def test_a_tensor_that_states_more_than_is_stored_takes_no_memory(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(1).expand(10**12)}, path)
    assert refusal(path) == "FILE is damaged: it states 1000000000000 weights"


def test_a_storage_that_is_larger_than_the_file_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(1000)}, path)
    held = {part: zipfile.ZipFile(path).read(part) for part in zipfile.ZipFile(path).namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in held.items():
            lie = content.replace(struct.pack("<BH", 0x4D, 1000), b"J" + struct.pack("<i", 10**9))
            archive.writestr(part, lie)
    assert refusal(path) == "FILE is damaged or not a file of weights"


def test_an_old_file_that_states_a_larger_storage_takes_no_memory(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(1000)}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    path.write_bytes(
        content.replace(struct.pack("<BH", 0x4D, 1000), b"J" + struct.pack("<i", 2**31 - 1))
    )
    assert refusal(path) == f"FILE is damaged: it states {2**31 - 1} weights"


def test_an_archive_whose_parts_unpack_to_more_than_the_file_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", pickle.dumps({}))
        archive.writestr("w/data/0", bytes(10**6))
    assert refusal(path) == "FILE is damaged: its parts would be larger than the file"


def test_a_header_that_states_a_larger_tensor_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    header = {"a": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    assert refusal(path).startswith("FILE is damaged or not a safetensors file (")
