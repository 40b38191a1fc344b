#include "tools/define.hpp"

#include <utility>

namespace awm::tools {

mcp::tool define(definition words, mcp::tool_handler handle) {
  mcp::tool tool;
  tool.name = words.name;
  tool.title = words.title;
  tool.description = words.description;
  tool.input_schema = std::move(words.input_schema);
  tool.output_schema = std::move(words.output_schema);
  if (words.what == effect::none) {
    tool.annotations = {{"readOnlyHint", true}, {"openWorldHint", false}};
  } else {
    tool.annotations = {{"readOnlyHint", false},
                        {"destructiveHint", words.what == effect::destructive},
                        {"idempotentHint", words.is_idempotent},
                        {"openWorldHint", true}};
  }
  if (words.is_core) tool.meta["anthropic/alwaysLoad"] = true;
  if (words.longest_answer) tool.meta["anthropic/maxResultSizeChars"] = *words.longest_answer;
  if (words.waits) {
    tool.task = mcp::task_support::optional;
    tool.carries_questions = true;
  }
  tool.handler = std::move(handle);
  return tool;
}

}  // namespace awm::tools
