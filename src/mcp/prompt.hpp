#pragma once
// What a person can pick from a menu: a text for the model, made from a few arguments.

#include "mcp/content.hpp"
#include "mcp/context.hpp"
#include "mcp/resource.hpp"

#include <asio/awaitable.hpp>
#include <nlohmann/json.hpp>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace awm::mcp {

struct prompt_argument {
  std::string name = {};
  std::string description = {};
  bool is_required = false;
  completer complete = {};  ///< may be empty
};

struct prompt_result {
  std::string description = {};  ///< may be empty
  std::vector<nlohmann::json> messages = {};

  /// `role` is "user" or "assistant".
  static nlohmann::json message(const char* role, nlohmann::json block) {
    return {{"role", role}, {"content", std::move(block)}};
  }
};

/// A coroutine. `arguments` has all that are required, and none that was not declared. Cancellation and exceptions are
/// as for a `resource_reader`.
using prompt_handler =
    std::function<asio::awaitable<prompt_result>(std::map<std::string, std::string> arguments, request_context&)>;

struct prompt {
  std::string name = {};
  std::string title = {};
  std::string description = {};
  std::vector<prompt_argument> arguments = {};
  prompt_handler handler = {};
  nlohmann::json icons = nullptr;
};

}  // namespace awm::mcp
