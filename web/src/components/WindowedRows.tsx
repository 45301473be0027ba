// SPDX-License-Identifier: Apache-2.0
// A table of which only the rows in sight exist. Rows are of one height, so a position is a number.
import {useEffect, useRef, useState, type ReactNode} from 'react';

const ROW = 40;
const HEIGHT = 560;
const SPARE = 8;

export interface WindowedRowsProps {
  label: string;
  head: string[];
  count: number;
  total: number;  // -1: not known yet
  row: (at: number) => {key: string; cells: ReactNode[]};
  onEnd?: () => Promise<void>;
  empty: string;
}

export function WindowedRows({label, head, count, total, row, onEnd, empty}: WindowedRowsProps) {
  const frame = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const first = Math.max(0, Math.floor(top / ROW) - SPARE);
  const last = Math.min(count, Math.ceil((top + HEIGHT) / ROW) + SPARE);
  useEffect(() => {
    if (last >= count - SPARE && onEnd !== undefined) void onEnd();
  }, [last, count, onEnd]);
  const indexes = Array.from({length: Math.max(0, last - first)}, (_, at) => first + at);
  return (
    <div
      className="cm-window"
      ref={frame}
      role="table"
      aria-label={label}
      aria-rowcount={total < 0 ? -1 : total + 1}
      tabIndex={0}
      style={{height: HEIGHT}}
      onScroll={event => setTop(event.currentTarget.scrollTop)}
    >
      <div role="rowgroup">
        <div role="row" className="head" aria-rowindex={1}>
          {head.map(title => <span role="columnheader" key={title}>{title}</span>)}
        </div>
      </div>
      <div role="rowgroup" style={{height: Math.max(1, count) * ROW, position: 'relative'}}>
        {count === 0 && <div role="row"><span role="cell">{empty}</span></div>}
        <div role="presentation" style={{transform: `translateY(${first * ROW}px)`}}>
          {indexes.map(at => {
            const {key, cells} = row(at);
            return (
              <div role="row" key={key} className={at % 2 === 1 ? 'odd' : ''} aria-rowindex={at + 2}>
                {cells.map((cell, column) => <span role="cell" key={head[column]}>{cell}</span>)}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
