/** A loop that runs when it is woken, and at least every so often. Waking it while it runs makes it run once more. */
export interface WakingLoop {
  wake(): void;
  stop(): Promise<void>;
}

export interface WakingLoopOptions {
  /** One round. Returning true asks for another round at once. */
  round: () => Promise<boolean>;
  everyMilliseconds: number;
  onError: (error: unknown) => void;
  afterErrorMilliseconds: number;
}

export function startWakingLoop({
  round,
  everyMilliseconds,
  onError,
  afterErrorMilliseconds,
}: WakingLoopOptions): WakingLoop {
  let isStopped = false;
  let isWoken = true;
  let rouse = () => {};
  const sleep = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      rouse = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const running = (async () => {
    while (!isStopped) {
      isWoken = false;
      try {
        if (await round()) continue;
        if (!isWoken && !isStopped) await sleep(everyMilliseconds);
      } catch (error) {
        onError(error);
        if (!isStopped) await sleep(afterErrorMilliseconds);
      }
    }
  })();
  return {
    wake() {
      isWoken = true;
      rouse();
    },
    async stop() {
      isStopped = true;
      rouse();
      await running;
    },
  };
}
