"""Question sets: from files and hubs into a data folder, their duplicates, their split, their removal.

reading      rows of a file as questions: columns, chats without their replies, ids
duplicates   which texts are the same or nearly          pure
hub          which files of a data set of a hub hold the questions; pinned, cached
adding       a proposal that is shown first, and its writing
splitting    a dev and a test part, stratified, stable under added questions
overview     what the benches of a data folder hold
removal      what removing a bench would destroy, and the removal
"""
