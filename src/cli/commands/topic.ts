/** `mq-raft topic create|list|describe`. */
import type { Command } from 'commander';
import { CLI_EXIT, type CliExit } from '../exit-codes.ts';
import { type Invocation, parseCount, type Run } from '../invocation.ts';
import { plural } from '../render/text.ts';
import { topicJson, topicListJson, topicListText, topicText } from '../render/topic.ts';

/** RocketMQ's default of queues of a topic that is created by hand. */
const DEFAULT_QUEUE_COUNT = 8;
const QUEUE_COUNT_MAX = 1024;

export function addTopicCommand(program: Command, run: Run): Command {
  const topic = program.command('topic').description('create and inspect topics');
  topic
    .command('create')
    .description('create a topic; one that exists already is left as it is or gets more queues')
    .argument('<name>', 'name of the topic')
    .option(
      '--queues <count>',
      'queues: the unit of order, and how many consumers work side by side',
      parseCount('--queues', 1, QUEUE_COUNT_MAX),
      DEFAULT_QUEUE_COUNT,
    )
    .addHelpText('after', '\nExamples:\n  mq-raft topic create orders --queues 8')
    .action((name: string, { queues }: { queues: number }, command: Command) =>
      run(command, (invocation) => createTopic(invocation, name, queues), 'write'),
    );
  topic
    .command('list')
    .description('list all topics')
    .addHelpText('after', '\nExamples:\n  mq-raft topic list')
    .action((_options, command: Command) => run(command, listTopics));
  topic
    .command('describe')
    .description('show the queues of a topic')
    .argument('<name>', 'name of the topic')
    .addHelpText('after', '\nExamples:\n  mq-raft topic describe orders')
    .action((name: string, _options, command: Command) =>
      run(command, (invocation) => describeTopic(invocation, name)),
    );
  return topic;
}

async function createTopic(
  invocation: Invocation,
  name: string,
  queueCount: number,
): Promise<CliExit> {
  const { signal, output } = invocation;
  const client = invocation.client();
  const created = await client.topicPut(name, queueCount, { signal });
  const topic = await client.topicDescribe(name, { signal });
  const verb = created ? 'created' : 'exists already';
  const text = `topic ${name} ${verb}, ${plural(topic.queueCount, 'queue')}\n`;
  invocation.print(output === 'json' ? topicJson(topic, created) : text);
  return CLI_EXIT.ok;
}

async function listTopics(invocation: Invocation): Promise<CliExit> {
  const { signal, output, paint } = invocation;
  const topics = await invocation.client().topicList({ signal });
  if (output === 'json') invocation.print(topicListJson(topics));
  else if (topics.length > 0) invocation.print(topicListText(topics, paint));
  else invocation.note('no topic yet; make one with: npx mq-raft topic create orders');
  return CLI_EXIT.ok;
}

async function describeTopic(invocation: Invocation, name: string): Promise<CliExit> {
  const { signal, output, paint } = invocation;
  const topic = await invocation.client().topicDescribe(name, { signal });
  invocation.print(output === 'json' ? topicJson(topic) : topicText(topic, paint));
  return CLI_EXIT.ok;
}
