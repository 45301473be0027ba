// SPDX-License-Identifier: Apache-2.0
// UniqueFd: one owner of a file descriptor.
#pragma once

#include "base/vocabulary.h"
