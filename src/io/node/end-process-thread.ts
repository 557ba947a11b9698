/** Ends the process, while the thread that wants it sees to it that this comes about. */
import { workerData } from 'node:worker_threads';
import { endProcess } from './end-process.ts';

endProcess(Number(workerData));
