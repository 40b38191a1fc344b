#pragma once
// What a client can read: single resources, and templates that stand for many.

#include "mcp/context.hpp"

#include <asio/awaitable.hpp>
#include <nlohmann/json.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace awm::mcp {

/// What a list shows of a resource.
struct resource_entry {
  std::string uri = {};
  std::string name = {};
  std::string title = {};                  ///< for people; may be empty
  std::string description = {};            ///< may be empty
  std::string mime_type = {};              ///< may be empty: not known
  std::optional<std::uint64_t> size = {};  ///< bytes
  nlohmann::json annotations = nullptr;    ///< audience, priority, lastModified; null: none
  nlohmann::json icons = nullptr;          ///< an array of {src, mimeType, sizes, theme}; null: none
};

/// What a reader returns: one or more of `text_contents` and `blob_contents`, or nothing when there is no such
/// resource.
using resource_contents = std::optional<std::vector<nlohmann::json>>;

/// The values of a template's variables.
using uri_variables = std::map<std::string, std::string>;

/// A coroutine. Cancellation (terminal) reaches it when the client cancels or the session ends. An exception becomes an
/// internal error with its `what()`.
using resource_reader =
    std::function<asio::awaitable<resource_contents>(std::string uri, uri_variables variables, request_context&)>;

/// How long a client of the stateless era may keep what it has read, and whether it may share it among users.
struct cache_hint {
  std::chrono::milliseconds ttl{0};
  bool is_public = false;
};

struct resource {
  resource_entry entry = {};
  resource_reader read = {};
  cache_hint cache = {};
};

/// Values that begin with what was typed, for a client that helps somebody to fill in a name. `others` are the
/// arguments that are filled in already. The first 100 are shown.
using completer =
    std::function<std::vector<std::string>(const std::string& typed, const std::map<std::string, std::string>& others)>;

/// Many resources of one form of URI: `worker://{id}/result`, see `uri_template`.
struct resource_template {
  std::string uri_template = {};
  std::string name = {};
  std::string title = {};
  std::string description = {};
  std::string mime_type = {};
  nlohmann::json annotations = nullptr;
  nlohmann::json icons = nullptr;
  resource_reader read = {};
  /// Those that exist now, for `resources/list`; may be empty: they are not listed.
  std::function<std::vector<resource_entry>()> list = {};
  /// By variable; may lack some.
  std::map<std::string, completer> complete = {};
  cache_hint cache = {};
};

}  // namespace awm::mcp
