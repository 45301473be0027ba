// SPDX-License-Identifier: Apache-2.0
// Loading something when a page opens, again on demand, and now and then.
import {useCallback, useEffect, useRef, useState} from 'react';

export interface Loaded<T> {
  value: T | undefined;
  error: unknown;
  loading: boolean;
  reload: () => void;
}

// useAsync keeps the last value while it loads anew or fails, so that a page never goes blank.
export function useAsync<T>(load: (signal: AbortSignal) => Promise<T>, dependencies: readonly unknown[], everyMs = 0): Loaded<T> {
  const [state, setState] = useState<{value: T | undefined; error: unknown; loading: boolean}>(
    {value: undefined, error: undefined, loading: true});
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async () => {
      setState(old => ({...old, loading: true}));
      try {
        const value = await latest.current(controller.signal);
        if (!controller.signal.aborted) setState({value, error: undefined, loading: false});
      } catch (error) {
        if (!controller.signal.aborted) setState(old => ({...old, error, loading: false}));
      }
      if (everyMs > 0 && !controller.signal.aborted) timer = setTimeout(tick, everyMs);
    };
    const tick = () => {
      if (document.hidden) timer = setTimeout(tick, everyMs);
      else void run();
    };
    void run();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [turn, everyMs, ...dependencies]);
  const reload = useCallback(() => setTurn(old => old + 1), []);
  return {...state, reload};
}
