#!/usr/bin/env node
/**
 * A broker with a bug in it, for the proof that the suite finds it. The program is the one of production,
 * started with other modules in the places of a few: nothing in production knows of this. The bug is named by
 * MQ_RAFT_CANARY, which nobody else reads.
 */
import { register } from 'node:module';
import { carelessCalls } from './canaries/careless-calls.ts';
import { canaryNamed } from './canaries/cases.ts';

const { id } = canaryNamed(process.env['MQ_RAFT_CANARY'] ?? '');
carelessCalls(id);
register('./canaries/module-hooks.js', import.meta.url);
await import('../../src/bin/broker.ts');
