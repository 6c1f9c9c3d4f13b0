/** A browser for tests: Debian's Chromium, without a window. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

export function launchChromium(): Promise<Browser> {
  const executablePath = ['chromium', 'chromium-browser', 'google-chrome']
    .flatMap((name) => process.env.PATH!.split(delimiter).map((path) => join(path, name)))
    .find((path) => existsSync(path));
  assert.ok(executablePath, 'Chromium is needed: node bin/setup.js --for-tests installs it');
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}
