// node client.js VAULT_URL [--verify]: what the JavaScript SDK's own tests do with secrets, written anew. One line for each
// operation, a count at the end. Models: Azure/azure-sdk-for-js, sdk/keyvault/keyvault-secrets/test; each step names its
// file and test. --verify: the challenge is held against the vault's name.
"use strict";

const assert = require("node:assert/strict");
const { randomUUID } = require("node:crypto");
const { SecretClient, parseKeyVaultSecretIdentifier } = require("@azure/keyvault-secrets");

const [url, strict] = process.argv.slice(2);
const LOOKS_EVERY_MS = { intervalInMs: 50 };
const ENDS = new Date("2036-01-02T03:04:05Z"); // before 2038: this SDK cuts seconds down to 32 bits

let tokens = 0;
const credential = {
  async getToken(scopes) {
    const resource = [scopes].flat()[0].replace(/\/\.default$/, "");
    const asked = `${process.env.IDENTITY_ENDPOINT}?api-version=2019-08-01&resource=${encodeURIComponent(resource)}`;
    const answer = await fetch(asked, { headers: { "X-IDENTITY-HEADER": process.env.IDENTITY_HEADER } });
    const told = await answer.json();
    tokens += 1;
    return { token: told.access_token, expiresOnTimestamp: Number(told.expires_on) * 1000 };
  },
};
const made = (options = {}) =>
  new SecretClient(url, credential, { disableChallengeResourceVerification: strict !== "--verify", ...options });
const client = made();

const prefix = `js-${randomUUID().slice(0, 8)}`;
const refused = async (act) => {
  try {
    await act();
  } catch (error) {
    return [error.statusCode, error.code];
  }
  return [undefined, undefined];
};
const all = async (listing) => {
  const found = [];
  for await (const one of listing) found.push(one);
  return found;
};
const pages = async (listing, maxPageSize) => all(listing.byPage({ maxPageSize }));
const gone = async (name) => {
  await (await client.beginDeleteSecret(name, LOOKS_EVERY_MS)).pollUntilDone();
};
// Purging goes on after its answer.
const until = async (act, passing) => {
  for (let tries = 0; ; tries += 1) {
    try {
      return await act();
    } catch (error) {
      if (error.statusCode !== passing || tries > 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
};

let first, second, backup;
const steps = {
  "CRUD: can add a secret": async () => {
    first = await client.setSecret(`${prefix}-a`, "one value");
    assert.equal(first.name, `${prefix}-a`);
    assert.equal(first.value, "one value");
    assert.match(first.properties.version, /^[0-9a-f]{32}$/);
    assert.equal(first.properties.vaultUrl, url);
  },
  "CRUD: can set a secret with attributes": async () => {
    second = await client.setSecret(`${prefix}-a`, "another value", {
      expiresOn: ENDS, notBefore: new Date("2020-01-01T00:00:00Z"), contentType: "text/plain", tags: { a: "1", empty: "" },
    });
    const { properties } = await client.getSecret(`${prefix}-a`);
    assert.deepEqual(properties.expiresOn, ENDS);
    assert.equal(properties.contentType, "text/plain");
    assert.deepEqual(properties.tags, { a: "1", empty: "" });
    assert.deepEqual(properties.createdOn, properties.updatedOn);
  },
  "CRUD: can set a secret with Empty Value": async () => {
    assert.equal((await client.setSecret(`${prefix}-empty`, "")).value, "");
  },
  "CRUD: cannot create a secret with an empty name": () => assert.rejects(client.setSecret("", "a value")),
  "CRUD: can abort adding a secret": () => {
    const controller = new AbortController();
    controller.abort();
    return assert.rejects(client.getSecret(`${prefix}-a`, { abortSignal: controller.signal }), { name: "AbortError" });
  },
  "CRUD: can get a secret": async () => {
    assert.equal((await client.getSecret(`${prefix}-a`, { version: first.properties.version })).value, "one value");
  },
  "CRUD: can retrieve the latest version of a secret value": async () => {
    assert.equal((await client.getSecret(`${prefix}-a`)).value, "another value");
  },
  "CRUD: can get a secret (Non Existing)": async () => {
    assert.deepEqual(await refused(() => client.getSecret(`${prefix}-none`)), [404, "SecretNotFound"]);
  },
  "CRUD: can update a secret": async () => {
    const told = await client.updateSecretProperties(`${prefix}-a`, "", { tags: { b: "2" } });
    assert.equal(told.version, second.properties.version);
    assert.deepEqual(told.tags, { b: "2" });
    assert.deepEqual(told.expiresOn, ENDS);
  },
  "CRUD: can update a disabled secret": async () => {
    await client.setSecret(`${prefix}-off`, "a value", { enabled: false });
    const told = await client.updateSecretProperties(`${prefix}-off`, "", { expiresOn: ENDS });
    assert.deepEqual([told.enabled, told.expiresOn], [false, ENDS]);
  },
  "CRUD: can't get a disabled secret": () =>
    assert.rejects(client.getSecret(`${prefix}-off`), /not allowed on a disabled secret/),
  "CRUD: unicode, quotes and newlines": async () => {
    const value = 'é"\\\n\t\u4e2d\u{1F511} %2F&=';
    await client.setSecret(`${prefix}-u`, value);
    assert.equal((await client.getSecret(`${prefix}-u`)).value, value);
  },
  "list: can list secret properties": async () => {
    const names = (await all(client.listPropertiesOfSecrets())).map((one) => one.name);
    for (const name of ["a", "empty", "off", "u"]) assert.ok(names.includes(`${prefix}-${name}`));
  },
  "list: can list secrets by page": async () => {
    const found = await pages(client.listPropertiesOfSecrets(), 1);
    assert.ok(found.length >= 4 && found.every((page) => page.length <= 1));
  },
  "list: over the usual pages, with the links that the vault gives": async () => {
    await Promise.all([...Array(30).keys()].map((number) => client.setSecret(`${prefix}-p${number}`, "a value")));
    const found = await all(client.listPropertiesOfSecrets().byPage());
    assert.ok(found.length > 1);
    assert.equal(found.flat().filter((one) => one.name.startsWith(`${prefix}-p`)).length, 30);
    assert.equal(tokens, 1);
  },
  "list: can retrieve all versions of a secret": async () => {
    const versions = (await all(client.listPropertiesOfSecretVersions(`${prefix}-a`))).map((one) => one.version);
    assert.deepEqual(versions.sort(), [first, second].map((one) => one.properties.version).sort());
  },
  "list: can retrieve all versions of a secret by page": async () => {
    const found = await pages(client.listPropertiesOfSecretVersions(`${prefix}-a`), 1);
    assert.equal(found.flat().length, 2);
  },
  "list: can list secret versions (non existing)": async () => {
    assert.deepEqual(await all(client.listPropertiesOfSecretVersions(`${prefix}-none`)), []);
  },
  "recoverBackupRestore: can backup a secret": async () => {
    backup = await client.backupSecret(`${prefix}-a`);
    assert.ok(backup.length > 0);
  },
  "recoverBackupRestore: can backup a secret (non existing)": async () => {
    assert.deepEqual(await refused(() => client.backupSecret(`${prefix}-none`)), [404, "SecretNotFound"]);
  },
  "recoverBackupRestore: can restore a secret (where it is)": async () => {
    assert.equal((await refused(() => client.restoreSecretBackup(backup)))[0], 409);
  },
  "recoverBackupRestore: can restore a secret (Malformed Backup Bytes)": async () => {
    assert.equal((await refused(() => client.restoreSecretBackup(new Uint8Array(4728))))[0], 400);
  },
  "CRUD: can delete a secret": async () => {
    const poller = await client.beginDeleteSecret(`${prefix}-a`, LOOKS_EVERY_MS);
    const told = await poller.pollUntilDone();
    assert.equal(told.recoveryId, `${url}/deletedsecrets/${prefix}-a`);
    assert.ok(told.deletedOn < told.scheduledPurgeDate);
    assert.deepEqual(await refused(() => client.getSecret(`${prefix}-a`)), [404, "SecretNotFound"]);
  },
  "CRUD: can delete a secret (Non Existing)": async () => {
    const told = await refused(() => client.beginDeleteSecret(`${prefix}-none`, LOOKS_EVERY_MS));
    assert.deepEqual(told, [404, "SecretNotFound"]);
  },
  "CRUD: can get a deleted secret": async () => {
    assert.equal((await client.getDeletedSecret(`${prefix}-a`)).name, `${prefix}-a`);
  },
  "CRUD: a deleted name stays taken": async () => {
    assert.deepEqual(await refused(() => client.setSecret(`${prefix}-a`, "a value")), [409, "Conflict"]);
  },
  "list: can list deleted secrets": async () => {
    assert.ok((await all(client.listDeletedSecrets())).some((one) => one.name === `${prefix}-a`));
  },
  "list: can list deleted secrets by page": async () => {
    await gone(`${prefix}-off`);
    const found = await pages(client.listDeletedSecrets(), 1);
    assert.ok(found.length >= 2 && found.every((page) => page.length <= 1));
  },
  "recoverBackupRestore: can recover a deleted secret": async () => {
    const poller = await client.beginRecoverDeletedSecret(`${prefix}-a`, LOOKS_EVERY_MS);
    assert.equal((await poller.pollUntilDone()).name, `${prefix}-a`);
    assert.equal((await client.getSecret(`${prefix}-a`)).value, "another value");
  },
  "recoverBackupRestore: can recover a deleted secret (non existing)": async () => {
    const told = await refused(() => client.beginRecoverDeletedSecret(`${prefix}-none`, LOOKS_EVERY_MS));
    assert.deepEqual(told, [404, "SecretNotFound"]);
  },
  "recoverBackupRestore: can restore a secret": async () => {
    await gone(`${prefix}-a`);
    await client.purgeDeletedSecret(`${prefix}-a`);
    const told = await until(() => client.restoreSecretBackup(backup), 409);
    assert.equal(told.version, second.properties.version);
    assert.equal((await client.getSecret(`${prefix}-a`, { version: first.properties.version })).value, "one value");
  },
  "identifier: an id that the vault gave is taken apart": () => {
    const parsed = parseKeyVaultSecretIdentifier(first.properties.id);
    assert.deepEqual([parsed.name, parsed.version], [`${prefix}-a`, first.properties.version]);
    assert.equal(new URL(parsed.vaultUrl).host, new URL(url).host);
  },
  "serviceVersionParameter: an older version of the API": async () => {
    assert.equal((await made({ serviceVersion: "7.4" }).getSecret(`${prefix}-a`)).value, "another value");
  },
  "challengeBasedAuthenticationPolicy: one token serves many calls at once": async () => {
    const had = tokens;
    const found = await Promise.all([...Array(20).keys()].map(() => client.getSecret(`${prefix}-a`)));
    assert.ok(found.every((one) => one.value === "another value"));
    assert.equal(tokens, had);
  },
  "challengeBasedAuthenticationPolicy: a vault of another domain is given no token": async () => {
    const checking = new SecretClient(url, credential);
    if (strict === "--verify") await checking.getSecret(`${prefix}-a`);
    else await assert.rejects(checking.getSecret(`${prefix}-a`), /does not match the requested domain/);
  },
};

(async () => {
  let done = 0;
  let failed = 0;
  for (const [what, act] of Object.entries(steps)) {
    done += 1;
    try {
      await act();
      console.log(`ok     ${what}`);
    } catch (error) {
      failed += 1;
      console.log(`not ok ${what} -- ${error.name}: ${String(error.message).split("\n")[0]}`);
    }
  }
  console.log(`javascript: ${done} operations, ${failed} failed`);
  process.exitCode = failed ? 1 : 0;
})();
