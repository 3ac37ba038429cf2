"""Keys, headers, sealed parts, config."""

import struct

import pytest
from maker import VAULT_KEY, Sealed, derived, key_text

import sealing
from errors import Damage, ReaderError, Unsupported, WrongKey
from vault import Vault


def test_key_text_round_trip():
    text = key_text(VAULT_KEY)
    assert len(text) == 4 + 55 + 10
    assert sealing.parse_key_text(text + "\n") == VAULT_KEY


def test_key_text_of_zeros_is_as_computed_by_hand():
    # BLAKE3 of 32 zero bytes begins 2a da: 256 zero bits, then 00101010 11011010 and 000, in fives.
    text = "HF1-" + "00000-" * 10 + "02NPG"
    assert key_text(bytes(32)) == text
    assert sealing.parse_key_text(text) == bytes(32)


def test_key_text_takes_what_people_type():
    text = key_text(VAULT_KEY)
    body = text[4:].lower().replace("0", "o").replace("1", "l").replace("-", " ")
    assert sealing.parse_key_text("hf1-" + body) == VAULT_KEY
    for sloppy in (text.replace("-", " "), text.replace("-", ""), text.replace("HF1-", "hfl ")):
        assert sealing.parse_key_text(sloppy) == VAULT_KEY


@pytest.mark.parametrize("change", ["prefix", "letter", "short", "swap"])
def test_key_text_refused(change):
    text = key_text(VAULT_KEY)
    broken = {
        "prefix": "HF2" + text[3:],
        "letter": text[:5] + "U" + text[6:],
        "short": text[:-1],
        "swap": text[:4] + ("1" if text[4] != "1" else "2") + text[5:],
    }[change]
    with pytest.raises(WrongKey):
        sealing.parse_key_text(broken)


def test_header_fields():
    raw = struct.pack("<4sHHII", b"HFPK", 1, 9, 0, 0) + bytes(32)
    assert sealing.Header.parse(raw, "pack", "x").writer_version == 9  # may be read


@pytest.mark.parametrize(
    "fields, error",
    [
        ((b"HFIX", 1, 1, 0, 0), Damage),
        ((b"HFPK", 2, 2, 0, 0), Unsupported),
        ((b"HFPK", 1, 1, 1, 0), Unsupported),
        ((b"HFPK", 1, 1, 0, 1), Damage),
    ],
)
def test_header_refused(fields, error):
    with pytest.raises(error):
        sealing.Header.parse(struct.pack("<4sHHII", *fields) + bytes(32), "pack", "x")


def test_part_opens_only_with_its_number_kind_and_associated_data():
    sealed = Sealed(b"HFPK", "k")
    part = sealed.part(3, 2, b"plain", b"with")
    opener = sealing.Opener(VAULT_KEY, sealing.Header.parse(sealed.header, "pack", "x"))
    assert opener.open(part, 3, 2, b"with", "x") == b"plain"
    for number, kind, associated in ((4, 2, b"with"), (3, 1, b"with"), (3, 2, b"other")):
        with pytest.raises(Damage):
            opener.open(part, number, kind, associated, "x")
    with pytest.raises(Damage):
        opener.open(part[:10], 3, 2, b"with", "x")


def test_config(maker):
    vault = Vault(maker.directory, VAULT_KEY)
    assert vault.chunk_name(b"x") == maker.name(b"x")
    assert vault.chunk_sizes == (32768, 131072, 524288)


def test_wrong_key_is_said(maker):
    with pytest.raises(WrongKey, match="wrong key"):
        Vault(maker.directory, bytes(32))


def test_no_vault(tmp_path):
    with pytest.raises(ReaderError, match="no vault"):
        Vault(tmp_path, VAULT_KEY)


@pytest.mark.parametrize("sizes", [(2048, 131072, 524288), (32768, 32768, 524288), (32768, 100000, 524288)])
def test_chunk_sizes_out_of_bounds(maker, sizes):
    maker.config(sizes=sizes)
    with pytest.raises(Damage, match="chunk sizes"):
        Vault(maker.directory, VAULT_KEY)


def test_config_of_a_newer_writer_is_read_and_of_a_newer_reader_refused(maker):
    maker.config(writer=2)
    Vault(maker.directory, VAULT_KEY)
    maker.config(reader=2, writer=2)
    with pytest.raises(Unsupported):
        Vault(maker.directory, VAULT_KEY)


def test_plain_length_is_bounded(maker):
    path = maker.directory / "config"
    raw = bytearray(path.read_bytes())
    raw[48:52] = struct.pack("<I", 4097)
    path.write_bytes(raw + bytes(8000))
    with pytest.raises(Damage, match="out of bounds"):
        Vault(maker.directory, VAULT_KEY)


def test_every_bit_of_config_is_guarded(maker):
    path = maker.directory / "config"
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(ReaderError):
            Vault(maker.directory, VAULT_KEY)
    (maker.directory / "config-copy").write_bytes(good)
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        Vault(maker.directory, VAULT_KEY)


def test_the_copy_does_not_stand_in_for_a_newer_config(maker):
    (maker.directory / "config-copy").write_bytes((maker.directory / "config").read_bytes())
    maker.config(reader=2, writer=2)
    with pytest.raises(Unsupported):
        Vault(maker.directory, VAULT_KEY)


def test_the_copy_says_which_key_is_wanted(maker):
    path = maker.directory / "config"
    (maker.directory / "config-copy").write_bytes(path.read_bytes())
    path.unlink()
    with pytest.raises(WrongKey, match="wrong key"):
        Vault(maker.directory, bytes(32))


@pytest.mark.parametrize("lost", [None, b"", b"HFVC", bytes(9000)])
def test_a_lost_config_is_read_from_its_copy(maker, lost):
    path = maker.directory / "config"
    good = path.read_bytes()
    if lost is None:
        path.unlink()
    else:
        path.write_bytes(lost)
    with pytest.raises(ReaderError):
        Vault(maker.directory, VAULT_KEY)
    (maker.directory / "config-copy").write_bytes(good)
    assert Vault(maker.directory, VAULT_KEY).chunk_sizes == (32768, 131072, 524288)


def test_image_id():
    assert sealing.image_id(bytes(16)) == derived("image id", bytes(16))[:16]


def test_other_names_are_left_alone(maker):
    pack = maker.pack([[b"x"]])
    (maker.directory / "tmp").mkdir()
    (maker.directory / "packs/zz").mkdir()
    (maker.directory / "packs/zz/file").write_bytes(b"")
    (maker.directory / "packs" / pack[:2] / "note.txt").write_bytes(b"")
    vault = Vault(maker.directory, VAULT_KEY)
    assert vault.keys("pack") == [f"packs/{pack[:2]}/{pack}"]
    assert vault.keys("mark") == []
