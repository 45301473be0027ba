// SPDX-License-Identifier: Apache-2.0
import type {TagEditorProps} from '@cloudscape-design/components/tag-editor';

export const tagStrings: TagEditorProps.I18nStrings = {
  keyPlaceholder: 'Enter key', valuePlaceholder: 'Enter value', addButton: 'Add tag', removeButton: 'Remove',
  removeButtonAriaLabel: tag => `Remove ${tag.key}`, undoButton: 'Undo', undoPrompt: 'This tag will be removed when you save.',
  loading: 'Loading tags', keyHeader: 'Key', valueHeader: 'Value', optional: 'optional', keySuggestion: 'Custom tag key',
  valueSuggestion: 'Custom tag value', emptyTags: 'No tags.', tooManyKeysSuggestion: 'Too many', tooManyValuesSuggestion: 'Too many',
  keysSuggestionLoading: 'Loading', keysSuggestionError: 'Failed', valuesSuggestionLoading: 'Loading', valuesSuggestionError: 'Failed',
  emptyKeyError: 'Enter a key.', maxKeyCharLengthError: 'At most 128 characters.', maxValueCharLengthError: 'At most 256 characters.',
  duplicateKeyError: 'There is a tag with this key already.', invalidKeyError: 'Letters, digits, spaces and _.:/=+@-',
  invalidValueError: 'Letters, digits, spaces and _.:/=+@-', awsPrefixError: 'Keys that begin with aws: are reserved.',
  tagLimit: available => `${available} more can be added.`, tagLimitReached: limit => `There are ${limit} tags, as many as there can be.`,
  tagLimitExceeded: limit => `More than ${limit} tags.`, enteredKeyLabel: key => `Use "${key}"`, enteredValueLabel: value => `Use "${value}"`,
};
