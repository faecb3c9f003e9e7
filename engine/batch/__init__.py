"""Calls as files: what a run would send over HTTP, written for a batch runner, and its results read back.

parts       the open parts of a plan, the custom ids of their next calls, and who makes them of a given reply
writing     all next calls -> files of requests and a manifest
reading     files of results, of any runner and in any order -> records on disk
local       rounds of write, `vllm run-batch` and read on this machine
service     the same through an OpenAI-compatible batch service: submit, status, fetch
"""
