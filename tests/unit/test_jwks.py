"""Sets of signing keys: the next key is known before it signs, the previous one is kept, and nothing is lost."""

import base64
import hmac
import json
import random
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from rotation.errors import Rejected, Unusable
from rotation.model import Credential, Job, Proof, SecretValue
from rotation.ports import Rotator
from rotation.rotators import ROTATORS
from rotation.rotators.signing_keys import ALGORITHMS, new_key
from tests.contract.harness_generated import SERVICES
from tests.contract.harness_jwks import ED25519, P256, accepts, public_set, signed
from tests.contract.secrets_at_hand import make_job, make_secret, make_spec

Jwks = dict[str, Any]
RSA, HMAC = (dict(new_key(name, random.Random(3))) for name in ("RS256", "HS256"))
ONE: Jwks = {"keys": [ED25519]}


@pytest.fixture
def rotator() -> Rotator:
    return ROTATORS["jwks"].build(SERVICES)


def job(rotator: Rotator, value: Jwks | str, form: str | None = None) -> Job:
    text = value if isinstance(value, str) else json.dumps(value)
    return make_job(rotator, make_spec("jwks", form=form), make_secret(text), "old")


def rotated(rotator: Rotator, value: Jwks | str, form: str | None = None) -> Jwks:
    draft = rotator.draft(job(rotator, value, form))
    assert draft.value is not None
    whole: Jwks = json.loads(draft.value.reveal())
    return whole


def key_that(whole: Jwks, role: str) -> Jwks:
    """By the member that says so."""
    (found,) = [key for key in whole["keys"] if key["kid"] == whole["keyturn"][role]]
    return dict(found)


def verified_by_hand(token: str, key: Jwks) -> bool:
    """By the numbers of a key alone, without any library of tokens."""
    text, _, signature = token.rpartition(".")
    raw, said = _bytes(signature), text.encode()
    try:
        if key["kty"] == "oct":
            return hmac.compare_digest(hmac.digest(_bytes(key["k"]), said, f"sha{key['alg'][2:]}"), raw)
        if key["kty"] == "OKP":
            ed25519.Ed25519PublicKey.from_public_bytes(_bytes(key["x"])).verify(raw, said)
        elif key["kty"] == "EC":
            point = ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), ec.SECP256R1())
            halves = (int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
            point.public_key().verify(utils.encode_dss_signature(*halves), said, ec.ECDSA(hashes.SHA256()))
        else:
            numbers = rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"]))
            numbers.public_key().verify(raw, said, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text))


# the steps


def test_a_key_alone_goes_on_signing_and_the_next_one_is_published_beside_it(rotator: Rotator) -> None:
    first = rotated(rotator, ONE)
    assert first["keys"][0] == ED25519, "carried over as it was"
    assert len(first["keys"]) == 2
    assert first["keyturn"] == {"signs": ED25519["kid"], "next": first["keys"][1]["kid"]}


def test_the_next_key_signs_the_one_that_signed_is_kept_and_the_one_before_goes(rotator: Rotator) -> None:
    first = rotated(rotator, ONE)
    second = rotated(rotator, json.dumps(first))
    third = rotated(rotator, json.dumps(second))
    for before, after in ((first, second), (second, third)):
        assert key_that(after, "signs") == key_that(before, "next") == after["keys"][0]
        assert key_that(after, "previous") == key_that(before, "signs") == after["keys"][2]
        assert key_that(after, "next") == after["keys"][1]
        assert key_that(after, "next")["kid"] not in {key["kid"] for key in before["keys"]}
        assert len(after["keys"]) == 3
    assert ED25519 in second["keys"]
    assert ED25519 not in third["keys"]


def test_after_three_rotations_a_set_that_got_out_is_worth_nothing(rotator: Rotator) -> None:
    whole = out = rotated(rotator, json.dumps(rotated(rotator, ONE)))
    kept = []
    for _ in range(3):
        whole = rotated(rotator, json.dumps(whole))
        kept.append(len([key for key in whole["keys"] if key in out["keys"]]))
    assert kept == [2, 1, 0]


def test_a_previous_key_stays_while_a_set_gets_its_first_next_one(rotator: Rotator) -> None:
    given = {"keys": [ED25519, P256], "keyturn": {"signs": ED25519["kid"], "previous": P256["kid"]}}
    first = rotated(rotator, given)
    assert [key_that(first, role) for role in ("signs", "previous")] == [ED25519, P256]
    assert first["keys"] == [ED25519, key_that(first, "next"), P256]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_tokens_of_the_previous_the_present_and_the_next_key_verify_by_each_set_that_knows_them(
    rotator: Rotator, algorithm: str
) -> None:
    """By PyJWT and by the bare numbers. Verifiers may have the set of one rotation before, or after."""
    sets = [rotated(rotator, {"keys": [dict(new_key(algorithm, SERVICES.random))]}, algorithm)]
    while len(sets) < 4:
        sets.append(rotated(rotator, json.dumps(sets[-1])))
    texts = [json.dumps(one) for one in sets]
    for number, whole in enumerate(sets):
        assert [key["alg"] for key in whole["keys"]] == [algorithm] * len(whole["keys"])
        token = signed(key_that(whole, "signs"))
        for text in texts[max(0, number - 1) : number + 2]:
            assert accepts(text, token)
            by_hand = [key for key in json.loads(text)["keys"] if verified_by_hand(token, key)]
            assert [key["kid"] for key in by_hand] == [whole["keyturn"]["signs"]]
    stranger = rotated(rotator, {"keys": [dict(new_key(algorithm, SERVICES.random))]}, algorithm)
    assert not any(accepts(text, signed(stranger["keys"][0])) for text in texts)
    assert not accepts(texts[3], signed(sets[0]["keys"][0])), "two rotations after its last token"


def test_the_tag_names_the_algorithm_of_new_keys_alone(rotator: Rotator) -> None:
    first = rotated(rotator, ONE, "ES256")
    assert [key.get("alg") for key in first["keys"]] == [None, "ES256"]
    second = rotated(rotator, json.dumps(first))
    assert second["keyturn"]["signs"] == first["keys"][1]["kid"]
    assert second["keys"][1]["alg"] == "EdDSA", "without the tag, that of the key that signed"


def test_a_new_key_has_the_members_of_the_standard_and_is_as_strong_as_it_must_be() -> None:
    source = random.Random(9)
    for algorithm in ALGORITHMS:
        key = dict(new_key(algorithm, source))
        assert (key["use"], key["alg"]) == ("sig", algorithm)
        assert len(key["kid"]) == 16
        if key["kty"] == "oct":
            assert 8 * len(_bytes(key["k"])) == int(algorithm[2:])
        if key["kty"] == "RSA":
            assert _number(key["n"]).bit_length() == 2048


async def test_each_version_is_a_slot_of_its_own_and_the_vault_alone_says_whose_it_is(rotator: Rotator) -> None:
    asked = job(rotator, ONE)
    assert (asked.access.targets, asked.access.slots) == ((), ())
    assert rotator.draft(asked).slot == rotator.draft(asked).slot != "old"
    assert await rotator.prove(asked) == Proof("old", None)


def test_the_private_members_are_hidden(rotator: Rotator) -> None:
    first = rotated(rotator, {"keys": [RSA]})
    hidden = {one.reveal() for one in job(rotator, json.dumps(first)).access.confidential}
    assert hidden == {key[name] for key in first["keys"] for name in ("d", "p", "q", "dp", "dq", "qi")}
    assert not hidden & {text for key in public_set(json.dumps(first)).keys for text in (key.key_id, key.key_type)}


# what is not understood

KEY = dict(ED25519)


def edited(change: Callable[[Jwks], object], *, keys: int = 1) -> Callable[[Rotator], str]:
    """A set of ours of so many keys, with a change."""

    def made(rotator: Rotator) -> str:
        whole: Jwks = json.loads(json.dumps(ONE))
        for _ in range(keys - 1):
            whole = rotated(rotator, json.dumps(whole))
        change(whole)
        return json.dumps(whole)

    return made


REFUSED: dict[str, Callable[[Rotator], str]] = {
    "no JSON": lambda _: "{",
    "a key of another kind": lambda _: "f00dface" * 8,
    "a list": lambda _: json.dumps([KEY]),
    "a key alone": lambda _: json.dumps(KEY),
    "deep JSON": lambda _: "[" * 100_000,
    "no keys": lambda _: '{ "keys":  [ ] }',
    "keys that are no list": lambda _: json.dumps({"keys": KEY}),
    "a key that is no object": lambda _: json.dumps({"keys": ["a"]}),
    "a member of a set that is not known": edited(lambda one: one.update(issuer="https://a.example")),
    "a member of a key that is not known": edited(lambda one: one["keys"][0].update(x5c="AA")),
    "a member of a kept key that is not known": edited(lambda one: one["keys"][1].update(note="a"), keys=3),
    "uses that are listed": edited(lambda one: one["keys"][0].update(key_ops=["sign"])),
    "another use": edited(lambda one: one["keys"][0].update(use="enc")),
    "a kty that is not known": edited(lambda one: one["keys"][0].update(kty="AKP")),
    "a kty that is not known among others": edited(lambda one: one["keys"][2].update(kty="AKP"), keys=3),
    "a curve that is not known": edited(lambda one: one["keys"][0].update(crv="Ed448")),
    "an alg that is not known": edited(lambda one: one["keys"][0].update(alg="Ed25519ph")),
    "an alg of another kind of key": edited(lambda one: one["keys"][0].update(alg="ES256")),
    "RSA that does not say for what": lambda _: json.dumps({"keys": [{n: t for n, t in RSA.items() if n != "alg"}]}),
    "oct that does not say for what": lambda _: json.dumps({"keys": [{n: t for n, t in HMAC.items() if n != "alg"}]}),
    "no kid": edited(lambda one: one["keys"][0].pop("kid")),
    "a blank kid": edited(lambda one: one["keys"][0].update(kid=" ")),
    "a kid that is a number": edited(lambda one: one["keys"][0].update(kid=1)),
    "one kid twice": edited(lambda one: one["keys"][1].update(kid=one["keys"][0]["kid"]), keys=3),
    "one kid in two roles": lambda _: json.dumps(
        {"keys": [KEY, P256 | {"kid": KEY["kid"]}], "keyturn": {"signs": KEY["kid"], "next": KEY["kid"]}}
    ),
    "a public half alone": edited(lambda one: one["keys"][0].pop("d")),
    "a public half among others": edited(lambda one: one["keys"][2].pop("d"), keys=3),
    "RSA without its primes": lambda _: json.dumps({"keys": [{n: t for n, t in RSA.items() if n != "p"}]}),
    "no base64url": edited(lambda one: one["keys"][0].update(d="a+b/")),
    "a name that is there twice": lambda _: json.dumps(ONE).replace('"kty"', '"kid": "a", "kty"'),
    "keys that is there twice": lambda _: '{"keys": [], ' + json.dumps(ONE)[1:],
    "two keys and no word which signs": edited(lambda one: one.pop("keyturn"), keys=2),
    "three keys and no word which signs": edited(lambda one: one.pop("keyturn"), keys=3),
    "a key more than is named": edited(lambda one: one["keys"].append(P256), keys=3),
    "a key less than is named": edited(lambda one: one["keys"].pop(), keys=3),
    "another order": edited(lambda one: one["keys"].reverse(), keys=2),
    "previous and next in turn": edited(lambda one: one["keys"].append(one["keys"].pop(1)), keys=3),
    "no key that signs": edited(lambda one: one.update(keyturn={"next": KEY["kid"]})),
    "no roles": edited(lambda one: one.update(keyturn={})),
    "roles that are null": edited(lambda one: one.update(keyturn=None)),
    "a role that is not known": edited(lambda one: one["keyturn"].update(retired="a"), keys=2),
    "a key with two roles": edited(lambda one: one["keyturn"].update(previous=KEY["kid"]), keys=2),
    "roles in words": edited(lambda one: one.update(keyturn="signs")),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_not_understood_is_refused_before_anything_changes(rotator: Rotator, what: str) -> None:
    value = REFUSED[what](rotator)
    with pytest.raises(Unusable) as raised:
        job(rotator, value)
    assert raised.value.field == "value"
    for text in (KEY["d"], KEY["x"], KEY["kid"], "a.example"):
        assert text not in raised.value.message
    with pytest.raises(Rejected):
        await rotator.verify(job(rotator, ONE), Credential(SecretValue(value), "any"))


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one["keys"][0].update(d=one["keys"][1]["d"]),
        lambda one: one["keys"][2].update(x=one["keys"][1]["x"]),
        lambda one: one["keys"][1].update(x=one["keys"][1]["x"][:-2]),
        # Bits behind the last byte: strict readers refuse them.
        lambda one: one["keys"][0].update(d=one["keys"][0]["d"] + "B"),
        lambda one: one["keys"][2].update(d=ED25519["d"].removesuffix("A") + "B"),
    ],
)
async def test_halves_that_do_not_fit_are_rejected_and_never_carried_over(
    rotator: Rotator, change: Callable[[Jwks], object]
) -> None:
    asked = job(rotator, edited(change, keys=3)(rotator))
    with pytest.raises(Unusable, match="do not fit"):
        rotator.draft(asked)
    with pytest.raises(Rejected, match="do not fit"):
        await rotator.prove(asked)


@pytest.mark.parametrize("name", ["n", "d", "p", "q", "dp", "dq", "qi"])
async def test_an_rsa_key_with_one_wrong_number_is_rejected(rotator: Rotator, name: str) -> None:
    with pytest.raises(Rejected, match="do not fit"):
        await rotator.prove(job(rotator, {"keys": [RSA | {name: RSA[name][:-4] + "AAAA"}]}))


def test_an_unknown_format_is_refused_with_the_known_ones(rotator: Rotator) -> None:
    with pytest.raises(Unusable, match="RS256, ES256, EdDSA, HS256") as raised:
        job(rotator, ONE, "rs256")
    assert raised.value.field == "format"


def test_pyjwt_and_others_pass_over_the_member_that_they_do_not_know(rotator: Rotator) -> None:
    first = rotated(rotator, ONE)
    assert len(jwt.PyJWKSet.from_dict(first).keys) == 2
