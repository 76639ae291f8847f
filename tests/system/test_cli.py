# SPDX-License-Identifier: Apache-2.0
"""Verbs that need no running node: what they print, what they refuse, their exit status."""
import json
import os
import pathlib
import re
import shlex
import stat
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
EXAMPLES = sorted((TOP / "docs" / "examples").glob("*.yaml"))
GOOD = """nodes:
  me:
    private_key: me.key
    edge: { listen: [":80"] }
    gateway: { allow: [{ edges: [me], sites: [shop] }] }
sites:
  shop: { hosts: [shop.example], origins: ["http://192.0.2.80"] }
"""


@pytest.fixture
def causeway(causeway_program):
    def run(*words, **options):
        return subprocess.run([causeway_program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=20, check=False, **options)
    return run


def test_examples_pass_check(causeway):
    assert len(EXAMPLES) >= 4
    for example in EXAMPLES:
        done = causeway("check", "-c", example)
        assert (done.returncode, done.stderr) == (0, ""), example
        assert ": good (" in done.stdout


PAGES = ["queue", "balance", "failure", "origins", "channels", "priority"]
NODES = """nodes:
  me:
    public_key: "%s"
    private_key: me.key
    edge: { listen: [":80"] }
    gateway: { allow: [{ edges: [me], sites: [shop] }], allow_local: true }
  paris: { public_key: "%s", private_key: paris.key, link: { listen: ["192.0.2.1:4433"] }, gateway: { allow: [{ edges: [me], sites: [shop] }] } }
  lyon: { public_key: "%s", private_key: lyon.key, link: { listen: ["192.0.2.2:4433"] }, gateway: { allow: [{ edges: [me], sites: [shop] }] } }
"""


@pytest.mark.parametrize("page", PAGES)
def test_what_the_documents_show_passes_check(causeway, tmp_path, page):
    """Sites, or settings of one, as they stand there."""
    keys = [causeway("keygen", "-o", tmp_path / f"{name}.key").stdout.split()[-1] for name in ("me", "paris", "lyon")]
    blocks = re.findall(r"^```yaml\n(.*?)^```", (TOP / "docs" / f"{page}.md").read_text(), re.M | re.S)
    assert blocks
    for number, block in enumerate(blocks):
        if not block.startswith("sites:"):
            block = "sites:\n  shop:\n    hosts: [www.shop.example]\n" + block
        file = tmp_path / f"{page}-{number}.yaml"
        file.write_text(NODES % tuple(keys) + block)
        done = causeway("check", "-c", file)
        assert done.returncode == 0 and ": good (" in done.stdout, done.stderr + block


def test_who_comes_from_elsewhere_finds_what_works(causeway, tmp_path):
    """docs/migrating.md: three whole configurations, each with what its rules make of requests."""
    blocks = re.findall(r"^```yaml\n(.*?)^```\n+```console\n(.*?)^```", (TOP / "docs" / "migrating.md").read_text(), re.M | re.S)
    assert len(blocks) == 3
    for number, (text, console) in enumerate(blocks):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        done = causeway("check", "-c", file)
        assert (done.returncode, done.stderr) == (0, ""), text
        for command, answer in re.findall(r"^\$ causeway (.*)\n((?:(?!\$ ).*\n)*)", console, re.M):
            assert causeway(*shlex.split(command), "-c", file).stdout == answer, command


def test_check_tells_every_mistake_with_its_place(causeway, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(GOOD.replace("listen", "lsten").replace("http:", "htp:"))
    done = causeway("check", "-c", file)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines() == [
        f"{file}:4:13: unknown setting 'lsten' in edge; did you mean 'listen'?",
        f"{file}:7:44: url: 'htp://192.0.2.80' is not the URL of an origin "
        "(like http://192.0.2.80:8080, https://app.internal or http+unix:///run/app.sock)"]
    done = causeway("check", "-c", file, "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and answer["good"] is False
    assert [(finding["line"], finding["column"], finding["severity"]) for finding in answer["findings"]] == [
        (4, 13, "error"), (7, 44, "error")]


def test_check_tells_what_the_dns_server_would(causeway, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text((TOP / "docs" / "examples" / "one-machine.yaml").read_text().replace(
        '"ns1 A 203.0.113.10"', '"ns1 CNAME www"'))
    done = causeway("check", "-c", file)
    assert done.returncode == 1
    assert "ns1.shop.example: a CNAME record must be the only record of its name" in done.stderr


def test_a_node_that_is_not_there_is_told_with_its_like(causeway, tmp_path):
    (tmp_path / "c.yaml").write_text(GOOD.replace("  me:", "  edge-fra:").replace("[me]", "[edge-fra]"))
    for words in (("check",), ("status",), ("run", "--check")):
        done = causeway(*words, "-c", tmp_path / "c.yaml", "-n", "edge-far")
        assert done.returncode == 1 and "'edge-far'; did you mean 'edge-fra'?" in done.stderr, words


def test_check_warns_and_passes(causeway, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(GOOD.replace("{ listen: [\":80\"] }", "").replace("    private_key: me.key\n", ""))
    done = causeway("check", f"--config={file}", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["good"] is True
    assert [finding["severity"] for finding in answer["findings"]] == ["warning"]
    assert answer["nodes"] == 1 and len(answer["hash"]) == 16


def test_check_of_a_file_that_is_not_there(causeway, tmp_path):
    done = causeway("check", "-c", tmp_path / "none.yaml")
    assert done.returncode == 1
    assert "none.yaml: No such file or directory: name yours by -c FILE, or begin with one of docs/examples" in done.stderr


@pytest.mark.parametrize("mode,good", [(0o600, True), (0o400, True), (0o640, False), (0o604, False)])
def test_a_private_key_that_others_can_read_is_refused(causeway, tmp_path, mode, good):
    (tmp_path / "c.yaml").write_text(GOOD)
    key = tmp_path / "me.key"
    causeway("keygen", "-o", key)
    key.chmod(mode)
    done = causeway("check", "-c", tmp_path / "c.yaml", "--node", "me")
    assert (done.returncode == 0) == good
    if not good:
        assert f"c.yaml:3:18: private_key: {key}: others can read it (mode {mode:04o}): chmod 600" in done.stderr


def test_a_secret_that_is_a_pipe_or_folder_does_not_block(causeway, tmp_path):
    (tmp_path / "c.yaml").write_text(GOOD)
    os.mkfifo(tmp_path / "me.key", 0o600)
    assert causeway("check", "-c", tmp_path / "c.yaml", "-n", "me").returncode == 1
    (tmp_path / "me.key").unlink()
    (tmp_path / "me.key").mkdir()
    assert "Is a directory" in causeway("check", "-c", tmp_path / "c.yaml", "-n", "me").stderr


def test_keygen_never_replaces_a_key(causeway, tmp_path):
    key = tmp_path / "node.key"
    old_mask = os.umask(0)
    try:
        public = causeway("keygen", "-o", key)
    finally:
        os.umask(old_mask)
    assert public.returncode == 0 and len(public.stdout) == 45
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    content = key.read_text()
    again = causeway("keygen", "-o", key)
    assert again.returncode == 1 and "is kept" in again.stderr and again.stdout == ""
    assert key.read_text() == content
    forced = causeway("keygen", "-o", key, "--force", "--json")
    assert json.loads(forced.stdout)["public_key"] + "\n" != public.stdout
    assert key.read_text() != content and stat.S_IMODE(key.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["node.key"]


def test_keygen_into_a_folder_that_is_not_there(causeway, tmp_path):
    done = causeway("keygen", "-o", tmp_path / "none" / "k")
    assert done.returncode == 1 and "No such file or directory" in done.stderr


def test_keygen_makes_pairs(causeway, tmp_path):
    pair = json.loads(causeway("keygen", "--json").stdout)
    (tmp_path / "me.key").write_text(pair["private_key"])
    (tmp_path / "me.key").chmod(0o600)
    text = GOOD.replace("    private_key", f"    public_key: {pair['public_key']}\n    private_key")
    (tmp_path / "c.yaml").write_text(text)
    assert causeway("check", "-c", tmp_path / "c.yaml", "-n", "me").returncode == 0
    other = json.loads(causeway("keygen", "--json").stdout)
    (tmp_path / "c.yaml").write_text(text.replace(pair["public_key"], other["public_key"]))
    assert "belongs to another public_key" in causeway("check", "-c", tmp_path / "c.yaml", "-n", "me").stderr


def test_every_verb_has_help_with_an_example(causeway):
    listing = causeway("help")
    verbs = [line.split()[0] for line in listing.stdout.splitlines() if line.startswith("  ")]
    assert {"run", "check", "keygen", "config", "demo", "status", "version", "help"} <= set(verbs)
    for verb in verbs:
        done = causeway(verb, "--help")
        assert done.returncode == 0 and done.stdout.startswith(f"Usage: causeway {verb}"), verb
        assert "--help" in done.stdout and "\nExample: causeway " in done.stdout, verb
        assert done.stdout == causeway("help", verb).stdout == causeway(verb, "-h").stdout


@pytest.mark.parametrize("words,sentence", [
    (["chekc"], "there is no verb 'chekc'; did you mean 'check'?"),
    (["frobnicate"], "there is no verb 'frobnicate' ("),
    (["check", "--confg", "x"], "unknown option '--confg'; did you mean '--config'?"),
    (["check", "--json=yes"], "unknown option '--json=yes'"),
    (["check", "-x"], "unknown option '-x'"),
    (["check", "-c"], "a value is missing behind '-c'"),
    (["check", "file"], "unexpected 'file'"),
    (["config"], "missing 'schema|reference|manual'"),
    (["config", "shema"], "did you mean schema"),
])
def test_a_wrong_command_line_is_told(causeway, words, sentence):
    done = causeway(*words)
    assert done.returncode == 2 and sentence in done.stderr and done.stdout == ""


def test_what_is_written_from_the_tables(causeway):
    schema = json.loads(causeway("config", "schema").stdout)
    assert schema["$schema"].endswith("/draft/2020-12/schema")
    assert causeway("config", "reference").stdout == (TOP / "docs" / "configuration.md").read_text()
    assert causeway("config", "manual").stdout.startswith(".TH CAUSEWAY.YAML 5")
    assert ".SS causeway check" in causeway("help", "--manual").stdout


def test_version(causeway):
    version = json.loads(causeway("version", "--json").stdout)
    assert causeway("--version").stdout.startswith(f"causeway {version['causeway']} ")


def test_an_answer_that_cannot_be_written_is_a_failure(causeway_program):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([causeway_program, "config", "schema"], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=20, check=False)
    assert done.returncode == 1 and "standard output does not take the answer" in done.stderr
