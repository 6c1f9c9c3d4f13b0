#!/usr/bin/env node
import { execute } from '@oclif/core';

// Not awaited: a closed pipe (`cutover model x | head`) must not leave an unsettled top-level await.
void execute({ dir: import.meta.url });
