// SPDX-License-Identifier: Apache-2.0
import {createContext, useContext} from 'react';

export interface Notice {id: string; type: 'success' | 'error' | 'warning' | 'info'; text: string; at: number}

export const NoticeContext = createContext<(notice: Omit<Notice, 'id' | 'at'>) => void>(() => undefined);

export function useNotice(): (notice: Omit<Notice, 'id' | 'at'>) => void {
  return useContext(NoticeContext);
}
