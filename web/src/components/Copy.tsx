// SPDX-License-Identifier: Apache-2.0
import CopyToClipboard from '@cloudscape-design/components/copy-to-clipboard';

export function CopyInline({text, what}: {text: string; what: string}) {
  return (
    <span className="cm-break">
      <CopyToClipboard
        variant="inline"
        textToCopy={text}
        textToDisplay={text}
        copyButtonAriaLabel={`Copy ${what}`}
        copySuccessText="Copied"
        copyErrorText="Could not copy"
      />
    </span>
  );
}

export function Commands({text}: {text: string}) {
  return (
    <div className="cm-commands">
      <pre className="cm-pre" tabIndex={0} aria-label="Commands">{text}</pre>
      <CopyToClipboard variant="button" copyButtonText="Copy" textToCopy={text} copyButtonAriaLabel="Copy the commands"
        copySuccessText="Copied" copyErrorText="Could not copy" />
    </div>
  );
}
