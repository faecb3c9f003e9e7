"""Calls as files: what a run would send over HTTP, written for a batch runner, and its results read back.

parts       the open parts of a plan, the custom ids of their next calls, and who makes them of a given reply
writing     all next calls -> files of requests and a manifest
reading     files of results, of any runner and in any order -> records on disk
local       rounds of write, `vllm run-batch` and read on this machine
cluster     the same on a Ray cluster, by Ray Data; ray_job is the program that runs beside vLLM
process     the process of a batch under its warden; failed is its error
service     the same through an OpenAI-compatible batch service: submit, status, fetch
"""
