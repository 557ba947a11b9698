/** Topics as text and as JSON. */
import type { TopicDescription } from '../../protocol/verbs.ts';
import { jsonLine } from './json.ts';
import { type Column, cell, type Paint, plural, tableLines } from './text.ts';

const PERMISSION_READ = 4;
const PERMISSION_WRITE = 2;

const LIST_COLUMNS: readonly Column[] = [
  { title: 'topic', align: 'left' },
  { title: 'queues', align: 'right' },
  { title: 'messages', align: 'right' },
  { title: 'permission', align: 'left' },
  { title: 'created', align: 'left' },
];

const QUEUE_COLUMNS: readonly Column[] = [
  { title: 'queue', align: 'right' },
  { title: 'first', align: 'right' },
  { title: 'next', align: 'right' },
  { title: 'messages', align: 'right' },
];

export function topicListText(topics: readonly TopicDescription[], paint: Paint): string {
  const rows = topics.map((topic) => [
    cell(topic.topic),
    cell(topic.queueCount),
    cell(messageCountOf(topic)),
    cell(permissionText(topic.permission)),
    cell(timeText(topic.createdAtMs)),
  ]);
  return `${tableLines(LIST_COLUMNS, rows, paint).join('\n')}\n`;
}

export function topicText(topic: TopicDescription, paint: Paint): string {
  const rows = topic.queues.map(({ queueId, minOffset, nextOffset }) => [
    cell(queueId),
    cell(minOffset),
    cell(nextOffset),
    cell(nextOffset - minOffset),
  ]);
  const facts = [
    `topic ${paint(topic.topic, 'bold')}`,
    plural(topic.queueCount, 'queue'),
    plural(messageCountOf(topic), 'message'),
    permissionText(topic.permission),
  ];
  const created = paint(`created ${timeText(topic.createdAtMs)}`, 'dim');
  return `${[facts.join(', '), created, '', ...tableLines(QUEUE_COLUMNS, rows, paint)].join('\n')}\n`;
}

export function topicListJson(topics: readonly TopicDescription[]): string {
  return jsonLine({ kind: 'topicList', topics: topics.map(topicObject) });
}

export function topicJson(topic: TopicDescription, created?: boolean): string {
  const fact = created === undefined ? {} : { created };
  return jsonLine({ kind: 'topic', ...fact, topic: topicObject(topic) });
}

function topicObject(topic: TopicDescription): object {
  return {
    name: topic.topic,
    queueCount: topic.queueCount,
    permission: permissionText(topic.permission),
    createdAt: timeText(topic.createdAtMs),
    messageCount: String(messageCountOf(topic)),
    queues: topic.queues.map(({ queueId, minOffset, nextOffset }) => ({
      queueId,
      firstOffset: String(minOffset),
      nextOffset: String(nextOffset),
    })),
  };
}

function messageCountOf({ queues }: TopicDescription): number {
  return queues.reduce((sum, { minOffset, nextOffset }) => sum + (nextOffset - minOffset), 0);
}

function permissionText(permission: number): string {
  const read = permission & PERMISSION_READ ? 'read' : '';
  const write = permission & PERMISSION_WRITE ? 'write' : '';
  return [read, write].filter((word) => word !== '').join('+') || 'none';
}

function timeText(atMs: number): string {
  return new Date(atMs).toISOString();
}
