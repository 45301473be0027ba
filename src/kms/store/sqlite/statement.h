// SPDX-License-Identifier: Apache-2.0
// SQLite's C API with owners and Results: Database, Statement with bound parameters only.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/bytes.h"
#include "base/clock.h"

namespace casemate::kms::store::sqlite {

// sqlite_error turns an extended result code into one of ours: full disk kLimit, busy kUnavailable, constraint
// kConflict (foreign key: kNotFound), damage kMalformed.
Error sqlite_error(sqlite3* database, std::string_view what);

class Statement {
 public:
  Statement(sqlite3* database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}

  // Parameters count from 1; text and blobs must live until the statement is reset.
  Statement& bind(int index, std::string_view text);
  Statement& bind(int index, ByteView blob);
  Statement& bind(int index, std::int64_t number);
  Statement& bind_null(int index);

  // step is true when there is a row.
  Result<bool> step();
  // run executes a statement that gives no rows.
  Result<void> run();

  std::string text(int column) const;
  Bytes blob(int column) const;
  std::int64_t number(int column) const;
  bool is_null(int column) const;

 private:
  struct Reset {
    void operator()(sqlite3_stmt* statement) const;
  };
  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Reset> statement_;  // owned by the Database, reset by us
  int bind_result_ = SQLITE_OK;
};

enum class Access { kReadWrite, kCreate };

// Database is one connection; it belongs to one thread at a time.
class Database {
 public:
  static Result<std::unique_ptr<Database>> open(const std::string& path, Access access);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  Result<void> execute(const char* sql);
  // prepare compiles a statement once and lends it until the Statement is destroyed.
  Result<Statement> prepare(const char* sql);
  int changes() const;
  // leave_as_is makes the end of this connection write nothing to the database file.
  void leave_as_is();
  sqlite3* handle() const { return handle_; }

 private:
  explicit Database(sqlite3* handle) : handle_(handle) {}
  sqlite3* handle_;
  std::unordered_map<const char*, sqlite3_stmt*> statements_;  // by the literal's address
};

}  // namespace casemate::kms::store::sqlite
