// SPDX-License-Identifier: Apache-2.0
// Drives the web console in Debian's Chromium. One argument: the settings that console_test.py wrote. Prints a line for each
// step; ends with status 1 at the first that fails.
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {createHash, createHmac} from 'node:crypto';
import {existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import https from 'node:https';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {toPalette} from './palette.mjs';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const require = createRequire(join(settings.modules, 'package.json'));
const {chromium} = require('playwright-core');
const axeSource = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const ALIAS = 'my-enclave-key';
const SUBMIT = `data-processing-client --submit --ciphertext string.encrypted --alias ${ALIAS}`;
const FIRST_LOAD_LIMIT = 600 * 1024;

function sh(command, env = settings.parent) {
  return new Promise(resolve => {
    execFile('bash', ['--noprofile', '--norc', '-c', command], {cwd: settings.work, env, timeout: 180_000},
      (error, stdout, stderr) => resolve({status: error === null ? 0 : error.code ?? 1, out: stdout, text: stdout + stderr}));
  });
}
async function ok(command, env) {
  const output = await sh(command, env);
  assert.equal(output.status, 0, `${command}\n${output.text}`);
  return output.out;
}
const aws = (command, env) => sh(`aws --endpoint-url "$AWS_ENDPOINT_URL_KMS" ${command}`, env);
// A client of KMS of our own, for thousands of calls.
function kmsClient(env) {
  const endpoint = new URL(env.AWS_ENDPOINT_URL_KMS);
  const agent = new https.Agent({keepAlive: true, maxSockets: 16, ca: readFileSync(env.AWS_CA_BUNDLE)});
  const sha256 = text => createHash('sha256').update(text).digest('hex');
  const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
  const call = (operation, body) => {
    const text = JSON.stringify(body);
    const now = new Date().toISOString().replace(/[:-]|\.\d+/g, '');
    const date = now.slice(0, 8);
    const scope = `${date}/us-east-1/kms/aws4_request`;
    const headers = {'content-type': 'application/x-amz-json-1.1', host: endpoint.host, 'x-amz-date': now,
      ...(env.AWS_SESSION_TOKEN ? {'x-amz-security-token': env.AWS_SESSION_TOKEN} : {}), 'x-amz-target': `TrentService.${operation}`};
    const names = Object.keys(headers).join(';');
    const canonical = `POST\n/\n\n${Object.entries(headers).map(([name, value]) => `${name}:${value}\n`).join('')}\n${names}\n${sha256(text)}`;
    const key = [date, 'us-east-1', 'kms', 'aws4_request'].reduce(hmac, 'AWS4' + env.AWS_SECRET_ACCESS_KEY);
    const signature = hmac(key, `AWS4-HMAC-SHA256\n${now}\n${scope}\n${sha256(canonical)}`).toString('hex');
    headers.authorization = `AWS4-HMAC-SHA256 Credential=${env.AWS_ACCESS_KEY_ID}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
    return new Promise((resolve, reject) => {
      const request = https.request({agent, hostname: endpoint.hostname, port: endpoint.port, method: 'POST', path: '/', headers}, response => {
        let out = '';
        response.on('data', data => { out += data; });
        response.on('end', () => response.statusCode === 200 ? resolve(out === '' ? {} : JSON.parse(out)) : reject(new Error(out)));
      });
      request.on('error', reject);
      request.end(text);
    });
  };
  return {call, close: () => agent.destroy()};
}
const admin = kmsClient(settings.admin);
async function storedPolicy() {
  const id = (await admin.call('DescribeKey', {KeyId: `alias/${ALIAS}`})).KeyMetadata.KeyId;
  return {id, policy: JSON.parse((await admin.call('GetKeyPolicy', {KeyId: id, PolicyName: 'default'})).Policy)};
}
async function until(what, condition, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const result = await condition();
    if (result) return result;
    assert.ok(Date.now() < end, `not within ${seconds} s: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}

const browser = await chromium.launch({
  executablePath: ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(path => existsSync(path)),
  // Its own sandbox wants rights that root in a container lacks; nothing but our page is ever loaded.
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
const outside = [];
const complaints = [];
let current = 'the beginning';

async function newContext(options = {}) {
  const context = await browser.newContext({ignoreHTTPSErrors: true, viewport: {width: 1280, height: 900}, reducedMotion: 'reduce', ...options});
  context.setDefaultTimeout(20_000);
  await context.addInitScript(() => {
    window.addEventListener('securitypolicyviolation', event =>
      console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  context.on('request', request => {
    const url = request.url();
    if (!url.startsWith(settings.url + '/') && !url.startsWith('data:') && !url.startsWith('blob:')) outside.push(url);
  });
  context.on('page', page => {
    page.on('pageerror', error => complaints.push(`${current}: ${error}`));
    page.on('console', message => {
      if (message.text().includes('CSP violation') || message.text().includes('Content Security Policy')) complaints.push(`${current}: ${message.text()}`);
    });
  });
  return context;
}

let page;
const go = async path => {
  await page.evaluate(hash => { location.hash = hash; }, '#/' + path);
  await page.waitForTimeout(50);
};
const button = name => page.getByRole('button', {name, exact: true});

async function checkAccessibility(where) {
  // Waiting for what fades in: colours in between would be judged.
  await page.waitForTimeout(400);
  await page.evaluate(async () => {
    const frame = () => new Promise(done => requestAnimationFrame(done));
    for (let still = 0; still < 2; ++still) {
      await frame();
      const fading = document.getAnimations().filter(animation => animation.effect?.getComputedTiming().endTime !== Infinity && animation.playState === 'running');
      if (fading.length > 0) still = 0;
      await Promise.allSettled(fading.map(animation => animation.finished));
    }
  });
  // Through the debugger: the page's own policy forbids evaluating text.
  if (!await page.evaluate(() => 'axe' in window)) {
    const session = await page.context().newCDPSession(page);
    await session.send('Runtime.evaluate', {expression: axeSource});
    await session.detach();
  }
  const found = await page.evaluate(async () => {
    const result = await window.axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']});
    return result.violations.map(violation => `${violation.id}: ${violation.nodes.slice(0, 3).map(node => `${node.target} ${node.failureSummary}`).join(' | ')}`);
  });
  assert.deepEqual(found, [], `axe: ${where}`);
}
async function inBothModes(check) {
  await check('light');
  await page.emulateMedia({colorScheme: 'dark'});
  await page.locator('.awsui-dark-mode').first().waitFor();
  await check('dark');
  await page.emulateMedia({colorScheme: 'light'});
  await page.locator('.awsui-dark-mode').first().waitFor({state: 'detached'});
}
const checkBothModes = where => inBothModes(mode => checkAccessibility(`${where}, ${mode}`));
// As who has no mouse gets there.
async function tabTo(target) {
  for (let i = 0; i < 60; ++i) {
    if (await target.evaluate(element => element === document.activeElement)) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`60 times Tab do not reach ${target}`);
}
async function checkWidth(where) {
  const {scroll, inner} = await page.evaluate(() => ({scroll: document.documentElement.scrollWidth, inner: innerWidth}));
  assert.ok(scroll <= inner, `${where}: ${scroll} px wide in ${inner}`);
}
async function shoot(name) {
  if (settings.screenshots === '') return;
  mkdirSync(settings.screenshots, {recursive: true});
  const image = toPalette(await page.screenshot({scale: 'css'}));
  writeFileSync(join(settings.screenshots, `${name}.png`), image);
  console.log(`   screenshot ${name}: ${image.length} bytes`);
}
async function fillEditor(text) {
  const content = page.locator('.cm-content').first();
  await content.click();
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  await page.keyboard.insertText(text);
}
async function openKey() {
  await go('keys');
  await page.getByRole('link', {name: ALIAS, exact: true}).click();
  await page.getByRole('heading', {level: 1, name: ALIAS}).waitFor();
  await page.locator('pre[data-testid=policy]').waitFor();
}
async function saveReviewed() {
  await button('Review and save').click();
  await page.getByRole('heading', {name: 'Save the key policy?'}).waitFor();
  await button('Save changes').click();
  await page.getByText('The key policy was changed.').first().waitFor();
}
async function openDenial(cause) {
  await go('activity');
  await page.getByLabel('Denied only').check();
  await page.getByText(`Denied: ${cause}`).first().waitFor();
  const row = page.getByRole('row').filter({hasText: `Denied: ${cause}`}).first();
  await row.getByRole('link').click();
  await page.getByRole('heading', {name: 'Decision'}).waitFor();
}
async function runEnclave(name, more = '') {
  const record = JSON.parse(await ok(`nitro-cli run-enclave --cpu-count 2 --memory 2148 --eif-path ${name}.eif ${more}`));
  await until('the server listens', () => existsSync(join(settings.run, 'vsock', String(record.EnclaveCID), '5000')));
  return record;
}

let failed = null;
async function step(name, work) {
  if (failed !== null && !process.env.CONSOLE_GO_ON) return;
  current = name;
  const begin = Date.now();
  try {
    await work();
    console.log(`ok - ${name} (${Date.now() - begin} ms)`);
  } catch (error) {
    failed = name;
    console.log(`not ok - ${name}\n${error.stack ?? error}`);
    if (page !== undefined) {
      await page.screenshot({path: join(settings.work, 'failed.png')}).catch(() => undefined);
      if (process.env.CONSOLE_FAILED) await page.screenshot({path: process.env.CONSOLE_FAILED, fullPage: true}).catch(() => undefined);
      console.log((await page.locator('body').innerText().catch(() => '')).slice(0, 3000));
    }
  }
}

const context = await newContext();
page = await context.newPage();
let enclave;
let firstLoad = 0;

await step('signs in by a link that works once', async () => {
  const session = await context.newCDPSession(page);
  await session.send('Network.enable');
  session.on('Network.loadingFinished', event => { firstLoad += event.encodedDataLength; });
  const begin = Date.now();
  await page.goto(settings.url + '/console/');
  await page.getByRole('heading', {name: 'Sign in'}).waitFor();
  console.log(`   first load: ${Math.round(firstLoad / 1024)} KiB, sign-in page usable after ${Date.now() - begin} ms`);
  assert.ok(firstLoad <= FIRST_LOAD_LIMIT, `${firstLoad} bytes`);
  await checkAccessibility('sign in');
  await shoot('sign-in');
  const url = (await ok('casemate console --print-url')).trim();
  await page.goto('about:blank');
  firstLoad = 0;
  await page.goto(url);
  await page.getByRole('heading', {name: 'Customer managed keys'}).waitFor();
  assert.ok(!page.url().includes('token'), page.url());
  assert.equal(await page.evaluate(() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])), '[{},{},""]');
  const second = await context.newPage();
  await second.goto(url);
  await second.getByText(/link did not sign you in/).waitFor();
  await second.close();
});

await step('shows that there are no keys', async () => {
  await page.getByText('No keys').waitFor();
  await checkAccessibility('keys, empty');
});

await step('act 2: creates the key in five steps, by keyboard', async () => {
  await tabTo(page.getByRole('button', {name: 'Create key'}).first());
  await page.keyboard.press('Enter');
  await page.getByRole('heading', {name: 'Configure key'}).waitFor();
  await checkAccessibility('create key, step 1');
  await shoot('create-key');
  const next = async () => {
    await tabTo(button('Next'));
    await page.keyboard.press('Enter');
  };
  await next();
  await next();
  await page.getByText('Enter an alias.').waitFor();
  await tabTo(page.getByLabel('Alias'));
  await page.keyboard.type(ALIAS);
  await tabTo(page.getByLabel(/^Description/));
  await page.keyboard.insertText('<img src=x onerror="document.title=\'pwned\'">');
  await checkAccessibility('create key, step 2');
  await next();
  await page.getByRole('heading', {name: 'Key administrators'}).waitFor();
  await checkAccessibility('create key, step 3');
  await next();
  await page.getByRole('heading', {name: 'Key users'}).waitFor();
  await next();
  await page.getByRole('heading', {name: 'Key configuration'}).waitFor();
  await checkAccessibility('create key, review');
  await tabTo(button('Finish'));
  await page.keyboard.press('Enter');
  await page.getByText(/Your KMS key was created/).first().waitFor();
  await page.getByRole('link', {name: ALIAS, exact: true}).waitFor();
  await page.getByText('Enabled').first().waitFor();
  const {policy} = await storedPolicy();
  assert.equal(policy.Statement.length, 1);
  assert.equal(policy.Statement[0].Sid, 'Enable IAM User Permissions');
  await checkAccessibility('keys');
  await shoot('keys');
});

await step('act 3: explains that the parent has no access', async () => {
  assert.notEqual((await aws(`kms describe-key --key-id alias/${ALIAS}`)).status, 0);
  await openDenial('NoIdentityPolicy');
  await page.getByText('Left to identity policies, and none allows').waitFor();
});

await step('shows what a hostile client wrote as text', async () => {
  await ok('curl -s --cacert "$AWS_CA_BUNDLE" -A \'<img src=x onerror="document.title=1">\' --aws-sigv4 aws:amz:us-east-1:kms ' +
    '-u "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "X-Amz-Target: TrentService.ListKeys" -H "Content-Type: application/x-amz-json-1.1" -d "{}" "$AWS_ENDPOINT_URL_KMS"', settings.admin);
  await openKey();
  await page.getByText('<img src=x onerror="document.title=\'pwned\'">').waitFor();
  assert.equal(await page.locator('img[src="x"]').count(), 0);
  assert.ok(!(await page.title()).includes('pwned'));
});

await step('act 4: grants the parent in the policy view, linted and compared before saving', async () => {
  await checkAccessibility('key');
  await shoot('key');
  await button('Switch to default view').click();
  await page.getByRole('heading', {name: 'Key administrators'}).waitFor();
  await checkAccessibility('key, default view');
  await button('Switch to policy view').click();
  await button('Edit').click();
  await page.locator('.cm-content').waitFor();
  await fillEditor('{"Version": "2012-10-17", "Statement": [');
  await page.getByRole('status').filter({hasText: /policy|JSON|end|syntax|unexpected/i}).first().waitFor();
  await fillEditor(JSON.stringify({Version: '2012-10-17', Statement: [{Effect: 'Allow', Principal: {AWS: 'arn:aws:iam::111122223333:role/casemate-parent'}, Action: 'kms:Decrypt', Resource: '*'}]}));
  await page.getByText('This policy locks you out').waitFor();
  const arn = JSON.parse((await aws('sts get-caller-identity')).out).Arn;
  const text = readFileSync(join(settings.work, 'key_policy_template.json'), 'utf8').replaceAll('ACCOUNT_ID', '111122223333').replaceAll('AWS_PRINCIPAL', arn);
  await fillEditor(text);
  await page.getByText('This policy locks you out').waitFor({state: 'detached'});
  await checkBothModes('policy editor');
  await shoot('policy-editor');
  await button('Review and save').click();
  await page.getByRole('region', {name: 'What will change'}).waitFor();
  await checkAccessibility('policy, before saving');
  await button('Save changes').click();
  await page.getByText('The key policy was changed.').first().waitFor();
  assert.equal((await aws(`kms encrypt --key-id alias/${ALIAS} --plaintext aGVsbG8=`)).status, 0);
});

await step('acts 6 to 8: follows a debug enclave on its console', async () => {
  enclave = await runEnclave('data-processing', '--debug-mode');
  await ok(`data-processing-client --prepare --values values.txt --alias ${ALIAS}`);
  await ok(SUBMIT);
  const whole = (await ok('base64 -d string.encrypted > string.encrypted.binary && aws --endpoint-url "$AWS_ENDPOINT_URL_KMS" kms decrypt ' +
    '--ciphertext-blob fileb://string.encrypted.binary --output text --query Plaintext | base64 --decode')).trim();
  await go('enclaves');
  await page.getByText(enclave.EnclaveID).first().waitFor();
  await checkAccessibility('enclaves');
  await shoot('enclaves');
  await page.getByRole('link', {name: enclave.EnclaveName}).click();
  await page.getByTestId('terminal').getByText(whole).first().waitFor();
  await page.getByText('Debug').first().waitFor();
  await checkBothModes('enclave, debug');
  await shoot('enclave');
});

await step('act 9: binds the key to the image with the condition helper', async () => {
  await openKey();
  await button('Edit').click();
  await page.locator('.cm-content').waitFor();
  await button('Attestation condition').click();
  await page.getByRole('heading', {name: 'Attestation condition'}).waitFor();
  await page.getByRole('dialog').getByRole('button', {name: /^Enclave/}).click();
  await page.getByRole('option', {name: new RegExp(enclave.EnclaveID)}).click();
  await page.getByText(settings.measurements['data-processing'].PCR0).first().waitFor();
  await checkBothModes('condition helper');
  await shoot('condition-helper');
  await button('Write the condition').click();
  await page.getByRole('heading', {name: 'Attestation condition'}).waitFor({state: 'detached'});
  await saveReviewed();
  const {policy} = await storedPolicy();
  const bound = policy.Statement.filter(statement => statement.Condition !== undefined);
  assert.equal(bound.length, 1);
  assert.deepEqual(bound[0].Condition, {StringEqualsIgnoreCase: {'kms:RecipientAttestation:PCR0': settings.measurements['data-processing'].PCR0}});
});

await step('act 10: explains that the parent is locked out', async () => {
  const denied = await aws('kms decrypt --ciphertext-blob fileb://string.encrypted.binary');
  assert.notEqual(denied.status, 0);
  await openDenial('NoDocument');
  await page.getByText('No attestation document was presented').waitFor();
  await checkAccessibility('event, act 10');
});

await step('act 11: explains that debug is locked out, digit by digit', async () => {
  assert.notEqual((await sh(SUBMIT)).status, 0);
  await openDenial('DebugEnclave');
  await page.getByText('The enclave runs in debug mode: PCR0 is zero').waitFor();
  const table = page.getByRole('table', {name: /PCR0.*digits differ/});
  await table.waitFor();
  assert.ok(await table.locator('mark').count() > 0);
  await checkAccessibility('event, act 11');
  await table.evaluate(element => element.scrollIntoView({block: 'center'}));
  await shoot('trace');
});

await step('act 12: production works, and shows no console', async () => {
  await ok('nitro-cli terminate-enclave --all');
  enclave = await runEnclave('data-processing');
  await ok(SUBMIT);
  await go(`enclaves/${enclave.EnclaveID}`);
  await page.getByText('Production: no console').waitFor();
  await checkAccessibility('enclave, production');
});

await step('act 13: explains that a modified image is locked out', async () => {
  await ok('nitro-cli terminate-enclave --all');
  await runEnclave('data-processing-modified');
  assert.notEqual((await sh(SUBMIT)).status, 0);
  await openDenial('OtherImage');
  await page.getByText('Another image asks').waitFor();
  const table = page.getByRole('table', {name: /PCR0.*digits differ/});
  const text = (await table.innerText()).replace(/\s/g, '');
  assert.ok(text.includes(settings.measurements['data-processing'].PCR0));
  assert.ok(text.includes(settings.measurements['data-processing-modified'].PCR0));
  await ok('nitro-cli terminate-enclave --all');
});

await step('marks the acts in the walkthrough', async () => {
  await button('Open the walkthrough').first().click();
  for (const act of [2, 3, 4, 7, 8, 9, 10, 11, 12, 13]) await page.getByTestId(`act-${act}`).getByRole('img', {name: 'done'}).waitFor();
  await checkAccessibility('walkthrough');
  await shoot('walkthrough');
  await button('Close the walkthrough').first().click();
});

await step('inspects a document', async () => {
  await go('inspector');
  await page.getByLabel('Attestation document').fill('8444a1013822a040f6');
  await button('Inspect').click();
  await page.getByText('The document does not verify').waitFor();
  await checkAccessibility('inspector, of what is no document');
  await page.getByLabel('Attestation document').fill(settings.document);
  await button('Inspect').click();
  await page.getByText('The document verifies').waitFor();
  assert.equal(await page.getByRole('table', {name: 'Certificate chain'}).getByRole('row').count(), 1 + settings.chain);
  assert.equal(await page.getByRole('table', {name: 'Checks'}).getByText('failed').count(), 0);
  const compare = async name => {
    await page.getByLabel('Path of the EIF').fill(join(settings.work, `${name}.eif`));
    await button('Compare').click();
  };
  await compare('data-processing');
  await page.getByText('The document comes from another image').waitFor();
  await page.getByRole('table', {name: /PCR0: \d+ of 96 digits differ/}).waitFor();
  await page.getByRole('table', {name: 'PCR1: equal'}).waitFor();
  await compare('document');
  await page.getByText('The document comes from this image').waitFor();
  await checkBothModes('inspector');
  await page.getByText('The document verifies').evaluate(element => element.scrollIntoView({block: 'center'}));
  await shoot('inspector');
});

await step('loses nothing when two edit one policy', async () => {
  await openKey();
  await button('Edit').click();
  await page.locator('.cm-content').waitFor();
  const {id, policy} = await storedPolicy();
  const theirs = {...policy, Statement: [...policy.Statement, {Sid: 'Theirs', Effect: 'Allow', Principal: {AWS: 'arn:aws:iam::111122223333:root'}, Action: 'kms:ListGrants', Resource: '*'}]};
  const mine = {...policy, Statement: [...policy.Statement, {Sid: 'Mine', Effect: 'Allow', Principal: {AWS: 'arn:aws:iam::111122223333:root'}, Action: 'kms:GetKeyPolicy', Resource: '*'}]};
  await fillEditor(JSON.stringify(mine, null, 2));
  await admin.call('PutKeyPolicy', {KeyId: id, PolicyName: 'default', Policy: JSON.stringify(theirs)});
  await button('Review and save').click();
  await page.getByText('The policy was changed meanwhile').waitFor();
  await checkAccessibility('policy changed meanwhile');
  await button('Merge into mine').click();
  await saveReviewed();
  const stored = (await storedPolicy()).policy;
  assert.deepEqual(stored.Statement.map(statement => statement.Sid).slice(-2), ['Mine', 'Theirs']);
});

await step('disables, enables, and schedules and cancels deletion', async () => {
  await openKey();
  const act = async item => {
    await button('Key actions').click();
    await page.getByRole('menuitem', {name: item, exact: true}).click();
  };
  await act('Disable');
  await page.getByText('The key is disabled.').first().waitFor();
  await act('Enable');
  await page.getByText('The key is enabled.').first().waitFor();
  await act('Schedule key deletion');
  await page.getByLabel(/Delete this key after/).check();
  await checkAccessibility('schedule deletion');
  await button('Schedule deletion').click();
  await page.getByText(/This key will be deleted on/).waitFor();
  await act('Cancel key deletion');
  await page.getByText(/The deletion was cancelled/).first().waitFor();
  await act('Enable');
  for (const tab of ['Aliases', 'Tags', 'Key rotation', 'Grants']) {
    await page.getByRole('tab', {name: tab}).click();
    await page.waitForTimeout(500);
    await checkAccessibility(`key, ${tab}`);
  }
});

await step('scrolls through a hundred thousand events', async () => {
  await go('activity');
  const table = page.getByRole('table', {name: /Audit events/});
  await table.getByRole('link').first().waitFor();
  await checkAccessibility('activity');
  await shoot('activity');
  const begin = Date.now();
  await page.evaluate(async wanted => {
    const frame = document.querySelector('.cm-window');
    for (;;) {
      frame.scrollTop = frame.scrollHeight;
      await new Promise(resolve => setTimeout(resolve, 20));
      if (Number(/^(\d+)/.exec(document.querySelector('[role=status]:last-child, p[role=status]')?.textContent ?? '')?.[1] ?? 0) >= wanted) return;
    }
  }, 5000);
  const frames = await page.evaluate(async () => {
    const frame = document.querySelector('.cm-window');
    const gaps = [];
    let last = performance.now();
    for (let i = 0; i < 60; ++i) {
      frame.scrollTop = (frame.scrollHeight / 60) * i;
      await new Promise(resolve => requestAnimationFrame(resolve));
      const now = performance.now();
      gaps.push(now - last);
      last = now;
    }
    return {median: gaps.sort((a, b) => a - b)[30], rows: document.querySelectorAll('.cm-window [role=row]').length};
  });
  console.log(`   5000 events loaded in ${Date.now() - begin} ms, median frame ${frames.median.toFixed(1)} ms, ${frames.rows} rows in the page`);
  assert.ok(frames.rows < 60);
  await page.getByRole('searchbox', {name: 'Find in events'}).fill('Old4242"');
  await page.getByRole('link', {name: 'Old4242', exact: true}).waitFor();
});

await step('fits from 360 px to 4K, light and dark', async () => {
  const paths = ['keys', 'keys/create', `keys/alias%2F${ALIAS}`, 'enclaves', 'inspector', 'activity'];
  for (const width of [360, 768, 3840]) {
    await page.setViewportSize({width, height: width === 3840 ? 2160 : 800});
    for (const path of paths) {
      await go(path);
      await page.locator('#main h1').first().waitFor();
      await page.waitForTimeout(300);
      await checkWidth(`${path} at ${width} px`);
    }
  }
  await page.setViewportSize({width: 360, height: 800});
  await go('keys');
  await checkAccessibility('keys at 360 px');
  await page.setViewportSize({width: 1280, height: 900});
  await page.emulateMedia({colorScheme: 'dark'});
  await page.locator('.awsui-dark-mode').first().waitFor();
  for (const path of paths) {
    await go(path);
    await page.locator('#main h1').first().waitFor();
    await page.waitForTimeout(400);
    await checkAccessibility(`${path}, dark`);
  }
  await openDenial('OtherImage');
  await checkAccessibility('event, dark');
  await page.getByRole('table', {name: /PCR0.*digits differ/}).evaluate(element => element.scrollIntoView({block: 'center'}));
  await shoot('trace-dark');
  await page.emulateMedia({colorScheme: 'light'});
});

await step('stays smooth with ten thousand keys', async () => {
  let next = 0;
  const aliases = settings.keys / 10;
  let begin = Date.now();
  await Promise.all(Array.from({length: 16}, async () => {
    for (let n = next++; n < settings.keys; n = next++) {
      const made = await admin.call('CreateKey', {});
      if (n < aliases) await admin.call('CreateAlias', {AliasName: `alias/old-${n}`, TargetKeyId: made.KeyMetadata.KeyId});
    }
  }));
  console.log(`   ${settings.keys} keys made in ${Date.now() - begin} ms`);
  await go('enclaves');
  await page.getByRole('heading', {name: 'Enclaves'}).waitFor();
  begin = Date.now();
  await go('keys');
  await page.getByRole('heading', {name: `(${settings.keys + 1})`}).waitFor();
  const listed = Date.now() - begin;
  const rows = await page.locator('tbody tr').count();
  const search = page.getByLabel('Find keys');
  begin = Date.now();
  await search.fill(`old-${aliases - 1}`);
  await page.getByRole('link', {name: `old-${aliases - 1}`, exact: true}).waitFor();
  const found = Date.now() - begin;
  await search.fill('');
  begin = Date.now();
  await button(`Page ${Math.ceil((settings.keys + 1) / 20)}`).click();
  await page.getByText('Enabled').first().waitFor();
  console.log(`   listed in ${listed} ms, searched in ${found} ms, last page in ${Date.now() - begin} ms, ${rows} rows in the page`);
  assert.equal(rows, 20);
  await checkAccessibility('keys, many');
  await button('Page 1').click();
  await page.getByRole('link', {name: ALIAS, exact: true}).waitFor();
});

await step('says when the server is lost, and goes on when it is back', async () => {
  await go('keys');
  await page.getByRole('link', {name: ALIAS, exact: true}).waitFor();
  await context.setOffline(true);
  await button('Refresh').click();
  await page.getByText(/connection lost/i).first().waitFor();
  await page.getByRole('link', {name: ALIAS, exact: true}).waitFor();
  await context.setOffline(false);
  await button('Retry').click();
  await page.getByText(/connection lost/i).first().waitFor({state: 'detached'});
});

await step('asks to sign in again when the session has ended', async () => {
  await page.route(settings.url + '/', route => route.fulfill({
    status: 400, contentType: 'application/x-amz-json-1.1',
    body: JSON.stringify({__type: 'ExpiredTokenException', message: 'The security token included in the request is expired'}),
  }));
  await button('Refresh').click();
  await page.getByText(/Your session has ended/).waitFor();
  await page.unroute(settings.url + '/');
});

await step('shows the parent only what it may see', async () => {
  const role = JSON.parse(await ok('curl -sf -H "X-aws-ec2-metadata-token: $(curl -sf -X PUT -H \'X-aws-ec2-metadata-token-ttl-seconds: 60\' ' +
    '${AWS_EC2_METADATA_SERVICE_ENDPOINT}latest/api/token)" ${AWS_EC2_METADATA_SERVICE_ENDPOINT}latest/meta-data/iam/security-credentials/casemate-parent'));
  await page.getByLabel('Access key ID').fill(role.AccessKeyId);
  await page.getByLabel('Secret access key').fill(role.SecretAccessKey);
  await page.getByLabel(/Session token/).fill(role.Token);
  await button('Sign in').click();
  await page.getByText(/you do not have permission/i).first().waitFor();
  await checkAccessibility('keys, denied');
  await go('activity');
  await page.getByText(/not authorized to perform: cloudtrail:LookupEvents/).first().waitFor();
});

await step('asked nothing of anyone outside, and broke no rule', async () => {
  assert.deepEqual(outside, []);
  assert.deepEqual(complaints, []);
});

admin.close();
await browser.close();
process.exit(failed === null ? 0 : 1);
