#!/usr/bin/env node
// Runs commands/*.ts as they are: Node strips the types, so there is no build step and no loader.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execute, settings } from '@oclif/core';

const root = join(import.meta.dirname, '..');
const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
pjson.oclif.commands = './commands';
settings.enableAutoTranspile = false;
void execute({ loadOptions: { root, pjson, ignoreManifest: true } });
