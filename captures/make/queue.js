// A web shop's background jobs on BullMQ: scripts and their children, streams, sorted sets, blocking pops.
import { Queue, QueueEvents, Worker } from 'bullmq';
import { openLoop, sleep } from './pace.js';
import { person, Random } from './random.js';
import { record } from './record.js';

const SECONDS = 13;
const KEEP = { removeOnComplete: { count: 50 }, removeOnFail: { count: 20 } };

const random = new Random(20_240_502);

/** `failing` is the share of attempts that throw; what a worker does otherwise takes 1–10 ms. */
const WORKERS = [
  { queue: 'emails', concurrency: 8, failing: 0.05 },
  { queue: 'emails', concurrency: 8, failing: 0.05 },
  { queue: 'thumbnails', concurrency: 4, failing: 0.01 },
  { queue: 'thumbnails', concurrency: 4, failing: 0.01 },
  { queue: 'webhooks', concurrency: 10, failing: 0.12, limiter: { max: 8, duration: 1000 } },
  { queue: 'reports', concurrency: 1, failing: 0 },
];

await record({
  name: 'queue',
  libraries: ['bullmq', 'ioredis'],

  async workload({ host, port, untilUnblocked }) {
    const connection = { host, port };
    const open = (name) => new Queue(name, { connection, defaultJobOptions: KEEP });
    const [emails, thumbnails, webhooks, reports] = ['emails', 'thumbnails', 'webhooks', 'reports'].map(open);
    const queues = [emails, thumbnails, webhooks, reports];
    const events = ['emails', 'webhooks'].map((name) => new QueueEvents(name, { connection }));
    const workers = WORKERS.map(({ queue, failing, ...options }) => {
      // A short drainDelay, so that idle workers soon return from BZPOPMIN and can close.
      return new Worker(queue, (job) => handle(job, failing), { connection, drainDelay: 2, ...options });
    });
    await Promise.all([...queues, ...events, ...workers].map((part) => part.waitUntilReady()));

    const schedulerId = 'stock-levels';
    await reports.upsertJobScheduler(schedulerId, { every: 700 }, { name: 'stock', data: { warehouse: 'north' } });
    const produce = (perSecond, start) => openLoop({ seconds: SECONDS, perSecond, random, start });
    await Promise.all([
      produce(7.5, () =>
        emails.add('welcome', emailData(), { attempts: 3, backoff: { type: 'exponential', delay: 150 } }),
      ),
      produce(2, () => emails.add('newsletter', emailData(), { delay: random.between(300, 4000) })),
      produce(2, () => thumbnails.addBulk(Array.from({ length: random.between(2, 6) }, thumbnailJob))),
      produce(6.5, () =>
        webhooks.add('order.updated', webhookData(), {
          attempts: 4,
          backoff: { type: 'fixed', delay: 200 },
          delay: random.between(0, 600),
        }),
      ),
      produce(1.5, () => reports.add('sales', { day: `2024-05-${random.between(10, 28)}`, formats: ['csv', 'pdf'] })),
      produce(1, () => Promise.all(queues.map((queue) => queue.getJobCounts()))),
      sleep((SECONDS - 2) * 1000).then(() => Promise.all(events.map(closeAfterNextEvent))),
    ]);

    await reports.removeJobScheduler(schedulerId);
    await Promise.all(workers.map((worker) => worker.pause(true)));
    await untilUnblocked();
    await Promise.all(workers.map((worker) => worker.close()));
    await Promise.all(queues.map((queue) => queue.close()));
  },
});

async function handle(job, failing) {
  await sleep(random.between(1, 10));
  if (job.name === 'sales') {
    await job.updateProgress(50);
    await job.log('orders aggregated');
    await sleep(random.between(1, 10));
  }
  if (random.chance(failing))
    throw failure(random.pick(['550 mailbox unavailable', 'connect ETIMEDOUT', 'upstream answered 503']));
  return { ok: true, ms: random.between(1, 40) };
}

/** BullMQ stores the stack of a failed job; this one does not name the machine that recorded it. */
function failure(message) {
  const error = new Error(message);
  error.stack = `Error: ${message}\n    at handle (file:///srv/shop/jobs/handle.js:48:11)\n    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)`;
  return error;
}

/** Closing between two reads, from an event's handler, leaves no XREAD blocked. */
function closeAfterNextEvent(queueEvents) {
  return new Promise((resolve, reject) => {
    queueEvents.once('completed', () => queueEvents.close().then(resolve, reject));
  });
}

function emailData() {
  const { name, email } = person(random);
  return {
    to: email,
    name,
    template: random.pick(['welcome-v3', 'order-shipped', 'password-reset']),
    orderId: random.between(100_000, 999_999),
    locale: 'en-GB',
  };
}

function thumbnailJob() {
  const width = random.pick([160, 320, 640]);
  return {
    name: 'resize',
    data: {
      source: `uploads/2024/05/${random.hex(16)}.jpg`,
      width,
      height: (width * 3) / 4,
      format: random.pick(['webp', 'avif']),
    },
    opts: { priority: random.between(1, 5) },
  };
}

function webhookData() {
  return {
    url: `https://hooks.example.com/t/${random.between(1, 40)}/orders`,
    event: {
      id: `evt_${random.id(12)}`,
      type: 'order.updated',
      order: random.between(100_000, 999_999),
      status: random.pick(['paid', 'packed', 'shipped']),
      totalCents: random.between(900, 90_000),
    },
  };
}
